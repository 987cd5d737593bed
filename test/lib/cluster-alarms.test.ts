import { Topic } from 'aws-cdk-lib/aws-sns';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import { ownAlarms } from '../../functions/contract/alarm-routes.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { WORKFLOW_NAMES, workflowsOf } from '../../functions/contract/workflows.ts';
import { durableWorkflow } from '../../functions/engine/pipeline.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import { ClusterAlarms } from '../../lib/cluster-alarms.ts';
import { sampleReport } from '../contract/sample-report.ts';
import { type AlarmState, alarmStates } from './alarm-states.ts';
import { aggregate, evaluate, type Series } from './metric-math.ts';
import { text } from './permissions.ts';
import { anyQueue, clusterWith, sampleKubernetes, smallStack } from './small-stack.ts';

const metricStat = z.object({
  Metric: z.object({
    Namespace: z.string(),
    MetricName: z.string(),
    Dimensions: z.array(z.object({ Name: z.string(), Value: z.unknown() })),
  }),
  Period: z.number(),
  Stat: z.string(),
});
const query = z.object({ Id: z.string(), Expression: z.optional(z.string()), MetricStat: z.optional(metricStat) });
const alarmProperties = z.object({
  AlarmName: z.string(),
  AlarmDescription: z.string(),
  AlarmActions: z.array(z.unknown()),
  OKActions: z.optional(z.array(z.unknown())),
  EvaluationPeriods: z.number(),
  DatapointsToAlarm: z.optional(z.number()),
  Threshold: z.number(),
  ComparisonOperator: z.string(),
  TreatMissingData: z.string(),
  // One metric…
  Namespace: z.optional(z.string()),
  MetricName: z.optional(z.string()),
  Dimensions: z.optional(metricStat.shape.Metric.shape.Dimensions),
  Statistic: z.optional(z.string()),
  Period: z.optional(z.number()),
  // …or an expression.
  Metrics: z.optional(z.array(query)),
});
type AlarmProperties = z.output<typeof alarmProperties>;

function alarmStack(others: Readonly<Record<string, unknown>> = {}) {
  const cluster = clusterWith(others);
  const { built, template, findings } = smallStack(
    (stack) =>
      new ClusterAlarms(stack, 'Alarms', {
        cluster,
        topic: new Topic(stack, 'Topic', { enforceSSL: true }),
        deadLetterQueue: anyQueue(stack),
      }),
  );
  const resources = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
  const alarms = resources.map((resource) => alarmProperties.parse(resource.Properties));
  const [topicId = ''] = Object.keys(template.findResources('AWS::SNS::Topic'));
  const alarm = (kind: string): AlarmProperties => {
    const found = alarms.find(({ AlarmName }) => AlarmName === `etcd-medic-demo-${kind}`);
    if (found === undefined) throw new Error(`no alarm ${kind}`);
    return found;
  };
  return { built, findings, alarms, alarm, topicId };
}

const { alarm } = alarmStack();

describe('ClusterAlarms', () => {
  it.each([
    ['nospace', 'Maximum NospaceAlarms/60 s', '>= 1 in 1 of 1', 'missing', 'tells when over'],
    ['nospace-persists', 'Maximum NospaceAlarms/60 s', '>= 1 in 30 of 30', 'missing', ''],
    ['corrupt', 'Maximum CorruptAlarms/60 s', '>= 1 in 1 of 1', 'missing', 'tells when over'],
    ['quota-usage', 'Maximum QuotaUsage/60 s', '> 80 in 5 of 5', 'ignore', 'tells when over'],
    ['soon-full', 'Minimum QuotaUsage/3600 s', '< 24 in 3 of 4', 'ignore', 'tells when over'],
    ['member-away', 'Maximum MembersAway/60 s', '>= 1 in 5 of 5', 'missing', 'tells when over'],
    ['probe-silent', 'Maximum MembersAnswering/60 s', '< 1 in 5 of 5', 'breaching', 'tells when over'],
    ['run-failed', 'Sum RunOutcome/300 s', '>= 1 in 1 of 3', 'notBreaching', ''],
    ['dead-letters', 'Maximum ApproximateNumberOfMessagesVisible/300 s', '>= 1 in 1 of 1', 'notBreaching', ''],
  ])('%s: %s %s, without data %s', (kind, metric, rule, missing, over) => {
    const properties = alarm(kind);

    expect([...new Set(metricsOf(properties).map(({ words }) => words))]).toEqual([metric]);
    expect(ruleOf(properties)).toBe(rule);
    expect(properties.TreatMissingData).toBe(missing);
    expect(properties.OKActions !== undefined).toBe(over !== '');
  });

  it('tell the topics of the user as well, which may be all that somebody has subscribed to', () => {
    const onCall = 'arn:aws:sns:eu-central-1:111122223333:on-call';

    const { alarms, topicId } = alarmStack({ notify: { topicArns: [onCall] } });

    for (const { AlarmActions, OKActions } of alarms) {
      expect(AlarmActions).toEqual([{ Ref: topicId }, onCall]);
      expect([undefined, [{ Ref: topicId }, onCall]]).toContainEqual(OKActions);
    }
  });

  it('has these alarms and no others, on metrics with the dimension that the probe gives them', () => {
    const { alarms, built } = alarmStack();

    const ofTheProbe = alarms.filter(({ MetricName = '' }) => /^(Nospace|Corrupt|Quota|Members)/.test(MetricName));
    expect(alarms).toHaveLength(9);
    expect(built.alarms).toHaveLength(9);
    expect(ofTheProbe.map(({ Namespace, Dimensions }) => ({ Namespace, Dimensions }))).toEqual(
      ofTheProbe.map(() => ({ Namespace: 'etcd-medic', Dimensions: [{ Name: 'cluster', Value: 'demo' }] })),
    );
  });

  it('tells people of each, in words with what to do that fit into an alarm', () => {
    const { alarms, topicId } = alarmStack({ name: 'a'.repeat(39) });

    for (const { AlarmDescription, AlarmActions, OKActions = [] } of alarms) {
      expect(AlarmDescription).toMatch(/\bDo( now)?: |Nothing to do yet: /);
      expect(AlarmDescription).toContain('a'.repeat(39));
      expect(AlarmDescription.length).toBeLessThanOrEqual(1024);
      expect([...AlarmActions, ...OKActions].map(text)).toEqual(
        [...AlarmActions, ...OKActions].map(() => `\${${topicId}}`),
      );
    }
  });

  it('names no two clusters’ alarms alike: no ending is the tail of another', () => {
    const endings = alarmStack().alarms.map(({ AlarmName }) => AlarmName.replace('etcd-medic-demo-', ''));

    const tails = endings.flatMap((ending) => endings.filter((other) => other.endsWith(`-${ending}`)));

    expect(tails).toEqual([]);
  });

  it('has every alarm that dispatch takes for its own', () => {
    const names = alarmStack().alarms.map(({ AlarmName }) => AlarmName);

    expect(names).toEqual(expect.arrayContaining(ownAlarms('demo').map(({ name }) => name)));
  });

  it('calls for a maintenance where the configuration lets a maintenance defragment', () => {
    const { alarm } = alarmStack({ maintain: { quotaShareAbove: 0.55 } });

    expect(ruleOf(alarm('quota-usage'))).toBe('> 55 in 5 of 5');
    expect(alarm('quota-usage').AlarmDescription).toContain('more than 55 % of its quota');
  });

  it.each([
    ['no pruning', {}, workflowsOf(clusterWith())],
    ['pruning', { kubernetes: sampleKubernetes }, WORKFLOW_NAMES],
  ])('looks at the outcomes of the workflows that there are: %s', (_, others, workflows) => {
    const { alarm } = alarmStack(others);

    const seen = metricsOf(alarm('run-failed')).map(({ dimensions }) => dimensions);

    expect(seen).toEqual(
      workflows.flatMap((workflow) =>
        ['failed', 'escalated'].map((outcome) => ({
          service: `etcd-medic-demo-${workflow}`,
          cluster: 'demo',
          workflow,
          outcome,
        })),
      ),
    );
  });

  it('passes AWS Solutions', () => {
    expect(alarmStack({ kubernetes: sampleKubernetes }).findings).toEqual([]);
  });
});

describe('the metric of run-failed', () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  it('has the very dimensions that a run puts out', async () => {
    const lines: string[] = [];
    // Node's console, and so the logger, sends warnings and errors to the other one.
    for (const stream of [process.stdout, process.stderr]) {
      vi.spyOn(stream, 'write').mockImplementation((chunk) => lines.push(String(chunk)) > 0);
    }
    vi.stubEnv('DURABLE_EXECUTION_PLUGINS', '');
    // As workflow-function.ts sets them.
    vi.stubEnv('POWERTOOLS_SERVICE_NAME', 'etcd-medic-demo-recover');
    vi.stubEnv('POWERTOOLS_METRICS_NAMESPACE', 'etcd-medic');
    const report: RunReport = { ...sampleReport(), outcome: 'failed' };
    const command = { cluster: 'demo', workflow: 'recover', trigger: { kind: 'manual', source: 'manual' } };

    await runLocally(
      durableWorkflow(async () => report),
      command,
      { skipTime: true },
    );

    const [emf] = lines.map((line) => JSON.parse(line)).filter((line) => line._aws !== undefined);
    const names: string[] = emf._aws.CloudWatchMetrics[0].Dimensions[0];
    const put = Object.fromEntries(names.map((name) => [name, emf[name]]));
    const seen = metricsOf(alarm('run-failed')).map(({ dimensions }) => dimensions);
    expect(emf._aws.CloudWatchMetrics[0].Namespace).toBe('etcd-medic');
    expect(seen).toContainEqual(put);
  });
});

describe('run-failed', () => {
  const failedAt = (period: number): Series => Array.from({ length: 12 }, (_, i) => (i === period ? 1 : undefined));

  it('goes off for one failure among metrics that have no data, and is over after a quarter of an hour', () => {
    const states = statesOf('run-failed', (id) => (id === 'maintain_escalated' ? failedAt(4) : nothing(12)), 300);

    expect(states.map((state) => state === 'ALARM')).toEqual(
      [4, 5, 6].reduce((all, i) => all.with(i, true), Array<boolean>(12).fill(false)),
    );
  });

  it('sees a failure whose metric comes a period late', () => {
    const { Metrics = [] } = alarm('run-failed');
    const rule = alarm('run-failed');
    /** What can be seen at the end of period i: everything but that period's own. */
    const seen = Array.from({ length: 12 }, (_, i) => {
      const late = failedAt(4).slice(0, i).concat(undefined);
      const series = Object.fromEntries(
        Metrics.flatMap(({ Id, MetricStat }) =>
          MetricStat ? [[Id, Id === 'recover_failed' ? late : nothing(i + 1)]] : [],
        ),
      );
      return alarmStates(evaluate(expressionOf(rule), { periodSeconds: 300, series }), rule).at(-1);
    });

    expect(seen.indexOf('ALARM')).toBe(5);
  });

  it('is quiet where nothing ever ran', () => {
    expect(new Set(statesOf('run-failed', () => nothing(12), 300))).toEqual(new Set(['OK']));
  });
});

describe('soon-full', () => {
  const HOUR = 60;
  const hours = (count: number, usage: (hour: number) => number | undefined): Series =>
    Array.from({ length: count * HOUR }, (_, minute) => usage(minute / HOUR));
  /**
   * Each night at 02:30 the file shrinks to 20 %, and grows back by 8 until its free pages last from compaction to
   * compaction.
   */
  const nightly = (perHour: number) => (hour: number) => {
    const since = (hour + 21.5) % 24;
    return 20 + 8 * (1 - Math.exp(-since * 6)) + perHour * since;
  };
  const states = (usage: Series) => statesOf('soon-full', () => usage, 60);
  const alarms = (usage: Series) => states(usage).flatMap((state, i) => (state === 'ALARM' ? [i + 1] : []));

  it('goes off within five hours at a growth that fills the quota in twenty', () => {
    const [first] = alarms(hours(12, (hour) => 40 + 3 * hour));

    expect(first).toBeLessThanOrEqual(5);
  });

  it('does not at a growth that fills it in thirty, until a day is left', () => {
    const [first = 0] = alarms(hours(30, (hour) => 40 + 2 * hour));

    const hoursLeft = 30 - first;
    expect(hoursLeft).toBeLessThan(24);
    expect(hoursLeft).toBeGreaterThan(19);
  });

  it('goes off again where the growth is still there after a gap in the data', () => {
    const usage = hours(14, (hour) => (hour >= 2 && hour < 7 ? undefined : 30 + 3 * hour));

    expect(alarms(usage).at(-1)).toBe(14);
  });

  it.each([
    ['a file that does not grow', hours(72, () => 60)],
    ['one that is nearly full and does not grow: quota-usage tells of that', hours(72, () => 97)],
    ['one that shrinks', hours(24, (hour) => 95 - 2 * hour)],
    ['a fortnight of nights with a defragmentation, and the growth after each', hours(14 * 24, nightly(1))],
    ['one odd look', hours(24, (hour) => (hour === 10 ? 99 : 40))],
    [
      'an odd look an hour, higher each time',
      hours(24, (hour) => ([10, 11, 12, 13].includes(hour) ? 10 * hour - 50 : 40)),
    ],
    ['one odd look downwards, when the fullest member did not answer', hours(24, (hour) => (hour === 10 ? 20 : 60))],
    ['an hour in which something large is installed', hours(24, (hour) => 30 + 40 * clamp(hour - 9.5))],
    ['two such hours, apart', hours(24, (hour) => 10 + 30 * clamp(hour - 6) + 30 * clamp(hour - 16))],
    ['a gap of five hours in slow growth', hours(24, (hour) => (hour > 5 && hour < 10 ? undefined : 40 + hour / 2))],
    ['a gap of a day, and another level after it', hours(72, (hour) => (hour < 20 ? 30 : hour < 44 ? undefined : 60))],
    ['one bad hour, and then nothing', hours(24, (hour) => (hour > 8 ? undefined : 30 + 40 * clamp(hour - 7)))],
  ])('is quiet for %s', (_, usage) => {
    expect(alarms(usage)).toEqual([]);
  });

  it('tells of nights that only just keep up: without the next one the quota would be full', () => {
    expect(alarms(hours(48, nightly(2.5)))).not.toEqual([]);
  });

  it('is over when the growth has stopped', () => {
    const usage = hours(24, (hour) => 40 + 3 * Math.min(hour, 8));

    expect(states(usage).at(7)).toBe('ALARM');
    expect(states(usage).at(-1)).toBe('OK');
  });
});

describe('the alarms of a single metric', () => {
  const minutes = (picture: string): Series =>
    picture.split('').map((point) => (point === '-' ? undefined : Number(point)));
  const states = (kind: string, usage: Series) => statesOf(kind, () => usage, 60);
  const times = (kind: string, series: Series) =>
    states(kind, series).filter((state, i, all) => state === 'ALARM' && all[i - 1] !== 'ALARM').length;

  it.each([
    ['nospace', 'goes off with the first look that sees it', minutes('0001'), 1],
    ['nospace', 'is a new cause where nobody answered in between', minutes('00111------111'), 2],
    ['nospace', 'is the same cause where one look failed', minutes('0011-11-1'), 1],
    ['nospace-persists', 'waits for half an hour', [...minutes('00'), ...ones(29)], 0],
    ['nospace-persists', 'goes off after half an hour', [...minutes('00'), ...ones(30)], 1],
    ['nospace-persists', 'goes off although etcd restarts again and again', every(3, ones(60)), 1],
    ['corrupt', 'goes off with the first look that sees it', minutes('0001'), 1],
    ['quota-usage', 'is not for one look', minutes('0000090000').map(percent), 0],
    ['quota-usage', 'goes off after five minutes', minutes('0099999').map(percent), 1],
    ['quota-usage', 'goes off once, however often the probe fails', minutes('0099999-------99999').map(percent), 1],
    ['quota-usage', 'is not for 80 % sharp', minutes('8888888').map(percent), 0],
    ['member-away', 'lets a member be restarted', minutes('00011110000'), 0],
    ['member-away', 'goes off after five minutes', minutes('00011111'), 1],
    ['probe-silent', 'lets the probe miss a few', minutes('33---33'), 0],
    ['probe-silent', 'goes off where the probe says nothing', minutes('33--------'), 1],
    ['probe-silent', 'goes off where nobody answers', minutes('3300000'), 1],
  ])('%s %s', (kind, _, series, expected) => {
    expect(times(kind, series)).toBe(expected);
  });

  it('dead-letters goes off for one message, and is over when the queue is empty', () => {
    expect(statesOf('dead-letters', () => [0, 1, 1, 0], 300)).toEqual(['OK', 'ALARM', 'ALARM', 'OK']);
  });
});

function ones(count: number): Series {
  return Array<number>(count).fill(1);
}

/** Each so-manieth value is missing. */
function every(nth: number, series: Series): Series {
  return series.map((value, i) => (i % nth === nth - 1 ? undefined : value));
}

function percent(tens: number | undefined): number | undefined {
  return tens === undefined ? undefined : tens * 10;
}

function nothing(count: number): Series {
  return Array<undefined>(count).fill(undefined);
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}

/** The states of an alarm of the template, on samples of its metrics (by their id, or name) so many seconds apart. */
function statesOf(kind: string, samples: (id: string) => Series, sampleSeconds: number): readonly AlarmState[] {
  const properties = alarm(kind);
  const series = Object.fromEntries(
    metricsOf(properties).map(({ id, statistic, periodSeconds }) => [
      id,
      aggregate(samples(id), periodSeconds / sampleSeconds, statistic),
    ]),
  );
  const [first] = metricsOf(properties);
  if (first === undefined) throw new Error(`${kind} has no metric`);
  const points = properties.Metrics
    ? evaluate(expressionOf(properties), { periodSeconds: first.periodSeconds, series })
    : series[first.id];
  return alarmStates(points ?? [], properties);
}

function expressionOf({ Metrics = [] }: AlarmProperties): string {
  const [expression, ...others] = Metrics.flatMap(({ Expression }) => Expression ?? []);
  if (expression === undefined || others.length > 0) throw new Error('expected one expression');
  return expression;
}

function metricsOf({ Metrics, MetricName = '', Statistic = '', Period = 0, Dimensions = [] }: AlarmProperties) {
  const metrics = Metrics
    ? Metrics.flatMap(({ Id, MetricStat: stat }) =>
        stat
          ? [
              {
                id: Id,
                name: stat.Metric.MetricName,
                statistic: stat.Stat,
                periodSeconds: stat.Period,
                dimensions: stat.Metric.Dimensions,
              },
            ]
          : [],
      )
    : [{ id: MetricName, name: MetricName, statistic: Statistic, periodSeconds: Period, dimensions: Dimensions }];
  return metrics.map((metric) => ({
    ...metric,
    dimensions: Object.fromEntries(metric.dimensions.map(({ Name, Value }) => [Name, Value])),
    words: `${metric.statistic} ${metric.name}/${metric.periodSeconds} s`,
  }));
}

function ruleOf({ ComparisonOperator, Threshold, EvaluationPeriods, DatapointsToAlarm }: AlarmProperties): string {
  const signs: Readonly<Record<string, string>> = {
    GreaterThanOrEqualToThreshold: '>=',
    GreaterThanThreshold: '>',
    LessThanThreshold: '<',
  };
  return `${signs[ComparisonOperator]} ${Threshold} in ${DatapointsToAlarm ?? EvaluationPeriods} of ${EvaluationPeriods}`;
}
