// Every trigger shape, the refusals, and what must hold for any input at all.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { WORKFLOW_NAMES } from '../../functions/contract/workflows.ts';
import { executionName } from '../../functions/dispatch/execution-name.ts';
import { type DispatchContext, parseTrigger } from '../../functions/dispatch/parse.ts';

const context: DispatchContext = {
  cluster: 'demo',
  alarms: [{ name: 'EtcdNoSpace', workflow: 'recover' }],
  requestId: '3f1c6a52-7e0d-4b7c-8a55-0a1f6f8f9d21',
  kinds: {
    'scans.example.com': { prune: true, version: 'v1' },
    'sbomreports.aquasecurity.github.io': { prune: false },
  },
};
const ALARM_ARN = 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:etcd-medic-demo-nospace';
const USAGE_ALARM_ARN = 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:etcd-medic-demo-quota-usage';
const CHANGED_AT = '2026-11-20T02:13:09.611Z';

describe('what starts a workflow', () => {
  const fromAlarm = {
    cluster: 'demo',
    workflow: 'recover',
    trigger: { kind: 'alarm', source: ALARM_ARN, at: CHANGED_AT },
    dryRun: false,
  };
  const SCHEDULES = 'arn:aws:scheduler:eu-central-1:111122223333:schedule/default';
  const byHand = {
    cluster: 'demo',
    workflow: 'recover',
    trigger: { kind: 'manual', source: 'manual', requestId: context.requestId },
    dryRun: false,
  };

  it.each([
    ['alarm-eventbridge', fromAlarm, `alarm ${ALARM_ARN} ${CHANGED_AT}`],
    ['alarm-action', fromAlarm, `alarm ${ALARM_ARN} ${CHANGED_AT}`],
    ['alarm-sns', fromAlarm, `alarm ${ALARM_ARN} ${CHANGED_AT}`],
    ['alarm-sns-eventbridge', fromAlarm, `alarm ${ALARM_ARN} ${CHANGED_AT}`],
    [
      'alertmanager-sns',
      { ...fromAlarm, trigger: { kind: 'alarm', source: 'alertmanager:EtcdNoSpace', at: CHANGED_AT } },
      `alarm alertmanager:EtcdNoSpace ${CHANGED_AT}`,
    ],
    [
      'alarm-nospace-persists',
      { ...fromAlarm, trigger: { kind: 'alarm', source: `${ALARM_ARN}-persists`, at: '2026-11-20T02:42:09.604Z' } },
      `alarm ${ALARM_ARN}-persists 2026-11-20T02:42:09.604Z`,
    ],
    [
      'alarm-quota-usage',
      {
        ...fromAlarm,
        workflow: 'maintain',
        trigger: { kind: 'alarm', source: USAGE_ALARM_ARN, at: '2026-11-20T14:27:41.318Z' },
      },
      `alarm ${USAGE_ALARM_ARN} 2026-11-20T14:27:41.318Z`,
    ],
    [
      'schedule',
      {
        ...byHand,
        workflow: 'maintain',
        trigger: { kind: 'schedule', source: `${SCHEDULES}/etcd-medic-demo-maintain`, at: '2026-11-20T02:30:00.000Z' },
      },
      `schedule ${SCHEDULES}/etcd-medic-demo-maintain 2026-11-20T02:30:00.000Z`,
    ],
    [
      'schedule-prune',
      {
        ...byHand,
        workflow: 'prune',
        trigger: { kind: 'schedule', source: `${SCHEDULES}/etcd-medic-demo-prune`, at: '2026-11-20T01:30:00.000Z' },
      },
      `schedule ${SCHEDULES}/etcd-medic-demo-prune 2026-11-20T01:30:00.000Z`,
    ],
    [
      'schedule-rehearsal',
      {
        ...byHand,
        dryRun: true,
        trigger: {
          kind: 'schedule',
          source: `${SCHEDULES}/etcd-medic-demo-dry-recover`,
          at: '2026-11-24T10:00:00.000Z',
          rehearsal: true,
        },
      },
      `schedule ${SCHEDULES}/etcd-medic-demo-dry-recover 2026-11-24T10:00:00.000Z`,
    ],
    ['manual-recover', byHand, `manual ${context.requestId}`],
    ['manual-dry-run', { ...byHand, dryRun: true }, `manual ${context.requestId}`],
    ['manual-maintain', { ...byHand, workflow: 'maintain' }, `manual ${context.requestId}`],
    ['manual-prune-dry-run', { ...byHand, workflow: 'prune', dryRun: true }, `manual ${context.requestId}`],
  ])('%s.json becomes one command', (file, command, cause) => {
    const decisions = parseTrigger(sample(file), context);

    expect(decisions).toEqual([{ kind: 'start', command, cause }]);
  });

  it('the same transition has the same name and the same payload, to the letter, over every route', () => {
    const routes = ['alarm-eventbridge', 'alarm-action', 'alarm-sns', 'alarm-sns-eventbridge'];

    const sent = routes.map((file) => startsOf(sample(file)).map(toRequest));

    expect(new Set(sent.map((requests) => JSON.stringify(requests))).size).toBe(1);
    expect(sent[0]).toEqual([
      { name: expect.stringMatching(/^recover-demo-[0-9a-f]{16}$/), payload: expect.any(String) },
    ]);
  });

  it('NOSPACE that persists is a cause of its own, which starts one more recovery', () => {
    const [first, second] = ['alarm-eventbridge', 'alarm-nospace-persists']
      .flatMap((file) => startsOf(sample(file)))
      .map(toRequest);

    expect(first?.name).toMatch(/^recover-demo-/);
    expect(second?.name).toMatch(/^recover-demo-/);
    expect(first?.name).not.toBe(second?.name);
  });

  it('a rehearsal of the very moment at which its workflow runs is a run of its own', () => {
    const night = JSON.parse(text('schedule'));
    const { source, at } = night.trigger;
    const trigger = { kind: 'schedule', source, at, rehearsal: true };

    const [run, rehearsal] = [night, { ...night, dryRun: true, trigger }].flatMap(startsOf).map(toRequest);

    expect(run?.name).not.toBe(rehearsal?.name);
  });

  it("what the stack's own alarms start isn't configurable", () => {
    const alarms = [{ name: 'etcd-medic-demo-quota-usage', workflow: 'recover' }] as const;

    const decisions = parseTrigger(sample('alarm-quota-usage'), { ...context, alarms });

    expect(decisions).toMatchObject([{ kind: 'start', command: { workflow: 'maintain' } }]);
  });

  it('a later transition of the same alarm is another cause', () => {
    const later = text('alarm-eventbridge').replaceAll('02:13:09.611', '02:13:09.612');

    const [first, second] = [sample('alarm-eventbridge'), JSON.parse(later)].flatMap(startsOf).map(toRequest);

    expect(first?.name).not.toBe(second?.name);
  });

  it('each press of Test is a run of its own, and its retry is not', () => {
    const pressed = (requestId: string) =>
      parseTrigger(sample('manual-recover'), { ...context, requestId })
        .flatMap(onlyStarts)
        .map(toRequest)[0];

    expect(pressed('a')).toEqual(pressed('a'));
    expect(pressed('a')?.name).not.toBe(pressed('b')?.name);
  });

  it('several records and alerts of one cause start one run, those of two causes start two', () => {
    const both = { Records: [record('alarm-sns'), record('alarm-sns'), record('alertmanager-sns')] };

    expect(startsOf(both).map(({ command }) => command.trigger.source)).toEqual([
      ALARM_ARN,
      'alertmanager:EtcdNoSpace',
    ]);
  });

  it("an alarm of the user's own starts the workflow that the configuration gives it", () => {
    const alarms = [{ name: 'ServerCpuTooHigh', workflow: 'maintain' }] as const;

    const decisions = parseTrigger(sample('alarm-eventbridge-other'), { ...context, alarms });

    expect(decisions).toMatchObject([{ kind: 'start', command: { workflow: 'maintain', dryRun: false } }]);
  });

  it.each([
    ['2026-11-20T02:13:09.611+0000'],
    ['2026-11-20T03:13:09.611+01:00'],
    ['2026-11-20T02:13:09.611987Z'],
    ['2026-11-20 02:13:09.611987654 +0000 UTC'],
    ['2026-11-20 03:13:09.611 +0100 CET'],
  ])('a start written as %s is the same moment', (startsAt) => {
    const event = sns(
      JSON.stringify({ alerts: [{ status: 'firing', labels: { alertname: 'EtcdNoSpace' }, startsAt }] }),
    );

    expect(startsOf(event).map(({ command }) => command.trigger.at)).toEqual([CHANGED_AT]);
  });
});

describe('what starts nothing', () => {
  it.each([
    ['alarm-eventbridge-ok', 'went to OK'],
    ['alarm-eventbridge-insufficient-data', 'went to INSUFFICIENT_DATA'],
    ['alarm-sns-ok', 'went to OK'],
    ['alertmanager-sns-resolved', `alert "EtcdNoSpace", which began at ${CHANGED_AT}, is resolved: only a firing one`],
    ['alarm-eventbridge-other', '"ServerCpuTooHigh" is not one that cluster demo answers to'],
  ])('%s.json is ignored, with the reason', (file, reason) => {
    const decisions = parseTrigger(sample(file), context);

    expect(decisions).toEqual([{ kind: 'ignore', reason: expect.stringContaining(reason) }]);
  });

  it.each([
    'etcd-medic-demo-nospace2',
    'etcd-medic-demo-corrupt',
    'etcd-medic-demo-soon-full',
    'etcd-medic-demo-usage',
    'etcd-medic-demo2-quota-usage',
    'etcd-medic-demo2-nospace',
    'ETCD-MEDIC-demo-nospace',
    'xetcd-medic-demo-nospace',
  ])('an alarm named %s is not the own one', (name) => {
    const event = JSON.parse(text('alarm-eventbridge').replaceAll('etcd-medic-demo-nospace', name));

    expect(parseTrigger(event, context)).toMatchObject([{ kind: 'ignore' }]);
  });

  it('an alert that fires beside a resolved one still starts its run', () => {
    const alert = (status: string) => ({ status, labels: { alertname: 'EtcdNoSpace' }, startsAt: CHANGED_AT });
    const event = sns(JSON.stringify({ status: 'firing', alerts: [alert('resolved'), alert('firing')] }));

    expect(parseTrigger(event, context)).toMatchObject([{ kind: 'ignore' }, { kind: 'start' }]);
  });
});

describe('several alerts of which one cannot be read', () => {
  const alert = { status: 'firing', labels: { alertname: 'EtcdNoSpace' }, startsAt: CHANGED_AT };

  it.each<[string, object, string]>([
    ['has no alertname', { ...alert, labels: { severity: 'none' } }, 'alerts[0].labels.alertname: found nothing'],
    [
      'has an empty one, as a template writes it',
      { ...alert, labels: { alertname: '' } },
      'alerts[0].labels.alertname',
    ],
    ['has no start', { ...alert, startsAt: undefined }, 'alerts[0].startsAt: found nothing'],
    ['has another status', { ...alert, status: 'suppressed' }, 'alerts[0].status: found "suppressed"'],
  ])('start what the others ask for where one %s, and it is said what was ignored', (_what, other, problem) => {
    const decisions = parseTrigger(sns(JSON.stringify({ alerts: [other, alert] })), context);

    expect(decisions).toMatchObject([
      { kind: 'ignore', reason: expect.stringContaining(problem) },
      { kind: 'start', command: { workflow: 'recover', trigger: { source: 'alertmanager:EtcdNoSpace' } } },
    ]);
  });
});

describe('what is refused', () => {
  const alarm = JSON.parse(text('alarm-eventbridge'));
  const action = JSON.parse(text('alarm-action'));
  const schedule = JSON.parse(text('schedule'));

  it.each([
    ['nothing', undefined, 'found nothing, expected an alarm'],
    ['a text', 'recover', 'found "recover", expected an alarm'],
    ['a list', [], 'found [], expected an alarm'],
    ["the console's template", { key1: 'value1' }, 'found {"key1":"value1"}, expected an alarm'],
    ['another cluster', { workflow: 'recover', cluster: 'prod' }, 'cluster: found "prod", expected "demo"'],
    [
      'another workflow',
      { workflow: 'reboot' },
      `workflow: found "reboot", expected ${WORKFLOW_NAMES.map((name) => `"${name}"`).join(' or ')}`,
    ],
    ['an unknown field', { workflow: 'recover', dryrun: true }, 'dryrun: found a field that is not known'],
    ['a dry run in words', { workflow: 'recover', dryRun: 'true' }, 'dryRun: found "true", expected boolean'],
    ['a schedule without a time', { ...schedule, trigger: { ...schedule.trigger, at: 'x' } }, 'trigger.at: found "x"'],
    [
      'a rehearsal that would act',
      { ...schedule, trigger: { ...schedule.trigger, rehearsal: true } },
      'dryRun: found nothing, expected true, because a rehearsal changes nothing',
    ],
    [
      'a rehearsal that is told to act',
      { ...schedule, dryRun: false, trigger: { ...schedule.trigger, rehearsal: true } },
      'dryRun: found false, expected true',
    ],
    ['a schedule without input', sample('schedule-without-input'), 'workflow: found nothing, because the schedule'],
    ['an unknown detail-type', { ...alarm, 'detail-type': 'EC2 State' }, 'detail-type: found "EC2 State", expected'],
    ['another source', { ...alarm, source: 'mine' }, 'source: found "mine", expected "aws.cloudwatch"'],
    ["another alarm's ARN", { ...alarm, resources: ['arn:aws:x'] }, 'resources: found ["arn:aws:x"], expected the ARN'],
    [
      'a state that there is not',
      { ...action, alarmData: { ...action.alarmData, state: { ...action.alarmData.state, value: 'alarm' } } },
      'alarmData.state.value: found "alarm", expected "ALARM" or "OK" or "INSUFFICIENT_DATA"',
    ],
    [
      'a queue',
      { Records: [{ eventSource: 'aws:sqs', body: '{}' }] },
      'Records[0].EventSource: found nothing, expected "aws:sns"',
    ],
    ['no record', { Records: [] }, 'Records: found [], expected at least one record'],
    ['a text on the topic', sns('etcd is full'), 'found "etcd is full", expected the JSON of a CloudWatch alarm'],
    ["Alertmanager's own text", sample('alertmanager-sns-default-text'), 'set `message` of sns_configs'],
    [
      'an alert without a start',
      sns('{"alerts":[{"status":"firing","labels":{"alertname":"x"}}]}'),
      'startsAt: found nothing',
    ],
    [
      'alerts without any name',
      sns(JSON.stringify({ alerts: [1, 2].map(() => ({ status: 'firing', labels: {}, startsAt: CHANGED_AT })) })),
      'alerts[1].labels.alertname: found nothing',
    ],
    ['a command on the topic', sns('{"workflow":"recover"}'), 'expected the JSON of a CloudWatch alarm'],
    ['a depth that no trigger has', nested(100_000), 'more than 32 levels of nesting'],
    ['that depth in a message', sns(`${'['.repeat(50_000)}${']'.repeat(50_000)}`), 'more than 32 levels of nesting'],
  ])('%s: the error says what was found and what was expected', (_what, event, words) => {
    expect(refusal(event)).toContain(words);
  });

  it('a huge text is not repeated in the error', () => {
    expect(refusal(sns('x'.repeat(200_000))).length).toBeLessThan(500);
    expect(refusal({ workflow: 'y'.repeat(200_000) }).length).toBeLessThan(500);
  });
});

describe('R12: limits that one run is given', () => {
  const limits = { 'vulnerabilityreports.aquasecurity.github.io': { maxStaleShare: 1, maxDeletes: 50_000 } };
  const order = { workflow: 'prune', limits };
  const schedule = JSON.parse(text('schedule-prune'));
  const alarm = JSON.parse(text('alarm-eventbridge'));
  const message = JSON.parse(record('alarm-sns').Sns.Message);
  const alert = { status: 'firing', labels: { alertname: 'EtcdNoSpace' }, startsAt: CHANGED_AT };

  it.each([
    ['pressed in the console', {}, { source: 'manual' }],
    ['by a button of the dashboard', { widgetContext: { dashboardName: 'd' } }, { source: 'dashboard' }],
    ['with a name', { by: 'Ada' }, { source: 'manual', saidBy: 'Ada' }],
  ])('reach the run where the order was %s, which says by which way and request it came', (_how, more, trigger) => {
    expect(parseTrigger({ ...order, ...more }, context)).toEqual([
      {
        kind: 'start',
        command: {
          cluster: 'demo',
          workflow: 'prune',
          dryRun: false,
          trigger: { kind: 'manual', requestId: context.requestId, ...trigger },
          limits,
        },
        cause: `manual ${context.requestId}`,
      },
    ]);
  });

  it.each([
    ['a schedule', { ...schedule, limits }, 'limits: found'],
    ['a schedule’s trigger', { ...schedule, trigger: { ...schedule.trigger, limits } }, 'trigger.limits: found'],
    ['an alarm by EventBridge', { ...alarm, limits }, 'limits: found'],
    ['its detail', { ...alarm, detail: { ...alarm.detail, limits } }, 'detail.limits: found'],
    ['a Lambda action', { ...JSON.parse(text('alarm-action')), limits }, 'limits: found'],
    ['an order on a topic', sns(JSON.stringify(order)), 'Records[0].Sns.Message: limits: found'],
    ['an alarm on a topic', sns(JSON.stringify({ ...message, limits })), 'limits: found'],
    [
      'an EventBridge event on a topic',
      sns(JSON.stringify({ ...alarm, detail: { ...alarm.detail, limits } })),
      'detail.limits: found',
    ],
    ['an alert', sns(JSON.stringify({ alerts: [{ ...alert, limits }] })), 'alerts[0].limits: found'],
    [
      'what is around a message',
      { Records: [{ ...JSON.parse(text('alarm-sns')).Records[0], limits }] },
      'Records[0].limits: found',
    ],
  ])('are refused by name in %s', (_what, event, words) => {
    expect(refusal(event)).toContain(words);
    expect(refusal(event)).toContain('expected none: limits are raised only by a person');
  });

  it('are no word that an alert must not have: etcd is full all the same', () => {
    const event = sns(JSON.stringify({ alerts: [{ ...alert, labels: { ...alert.labels, limits: 'cpu' } }] }));

    expect(startsOf(event)).toHaveLength(1);
  });

  it.each([
    [
      'an unknown kind',
      { 'vulnerabilityreport.aquasecurity.github.io': { maxDeletes: 1 } },
      'expected one of vulnerabilityreports.aquasecurity.github.io, ',
    ],
    [
      'one that is not pruned here',
      { 'sbomreports.aquasecurity.github.io': { maxDeletes: 1 } },
      'limits["sbomreports.aquasecurity.github.io"]: found no kind that is pruned here',
    ],
    ['no number', { 'scans.example.com': { maxStaleShare: 1 } }, 'limits.scans.example.com.maxDeletes: found nothing'],
    [
      'too large a share',
      { 'scans.example.com': { maxStaleShare: 2, maxDeletes: 1 } },
      'maxStaleShare: found 2, expected at most 1',
    ],
    ['no kind', {}, 'limits: found {}, expected at least one kind of reports'],
    [
      'more than a run can delete',
      { 'scans.example.com': { maxDeletes: 600_000 }, 'clusterreports.openreports.io': { maxDeletes: 600_000 } },
      'expected at most 1000000 deletes, all kinds together',
    ],
  ])('are refused with %s', (_what, wrong, words) => {
    expect(refusal({ workflow: 'prune', limits: wrong })).toContain(words);
  });

  it('take a kind that is configured', () => {
    expect(startsOf({ workflow: 'prune', limits: { 'scans.example.com': { maxDeletes: 5 } } })).toHaveLength(1);
  });

  it('are a pruning’s alone', () => {
    expect(refusal({ workflow: 'recover', limits })).toContain('limits: found');
  });
});

describe('the sample events', () => {
  // Those of the other functions have other prefixes.
  const files = readdirSync(new URL('../../events/', import.meta.url))
    .filter((file) => /^(alarm|alertmanager|manual|schedule)/.test(file))
    .map((file) => file.replace('.json', ''));

  it.each(files)('%s.json does what its name says', (file) => {
    const expected =
      file.endsWith('-without-input') || file.endsWith('-default-text')
        ? 'refused'
        : /-(ok|resolved|insufficient-data|other)$/.test(file)
          ? 'ignore'
          : 'start';

    const found = outcome(sample(file)) === 'refused' ? 'refused' : parseTrigger(sample(file), context)[0]?.kind;

    expect(found).toBe(expected);
  });
});

describe('for any input', () => {
  const json = fc.jsonValue({ maxDepth: 5 });
  const files = ['alarm-eventbridge', 'alarm-action', 'alarm-sns', 'alertmanager-sns', 'schedule', 'manual-dry-run'];

  it('there is a decision or an InvalidInputError, never a crash', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSet: true,
    });
    const message = fc.oneof(fc.string(), fc.json()).map(sns);

    fc.assert(
      fc.property(fc.oneof(anything, json, message), (event) => outcome(event) !== 'crash'),
      { numRuns: 2000 },
    );
  });

  it('nor is there one for a real event with any one value replaced', () => {
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.nat(), fc.oneof(json, fc.string()), (file, where, value) => {
        expect(outcome(replaced(sample(file), where, value))).not.toBe('crash');
        if (file.endsWith('-sns') || file === 'alarm-sns') {
          const inner = JSON.parse(record(file).Sns.Message);
          expect(outcome(sns(JSON.stringify(replaced(inner, where, value))))).not.toBe('crash');
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('no transition but into ALARM ever starts anything', () => {
    const state = fc.constantFrom('OK', 'INSUFFICIENT_DATA');
    const shapes = fc.constantFrom(eventBridge, lambdaAction, classicMessage);

    fc.assert(
      fc.property(shapes, state, moment(), (shape, value, at) => {
        expect(parseTrigger(shape('etcd-medic-demo-nospace', value, at), context)).toMatchObject([{ kind: 'ignore' }]);
      }),
    );
  });

  it('the routes agree on name and payload for any transition into ALARM', () => {
    fc.assert(
      fc.property(moment(), (at) => {
        const sent = [eventBridge, lambdaAction, classicMessage]
          .flatMap((shape) => startsOf(shape('etcd-medic-demo-nospace', 'ALARM', at)))
          .map(toRequest);

        expect(sent).toHaveLength(3);
        expect(new Set(sent.map((request) => JSON.stringify(request))).size).toBe(1);
      }),
    );
  });

  it('an execution name is one that Lambda takes, begins readably, and tells clusters apart', () => {
    const cluster = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,38}$/);

    fc.assert(
      fc.property(cluster, cluster, fc.constantFrom(...WORKFLOW_NAMES), fc.string(), (a, b, workflow, cause) => {
        const named = (name: string) =>
          executionName({ cluster: name, workflow, trigger: { kind: 'manual', source: 'x' }, dryRun: false }, cause);

        expect(named(a)).toMatch(/^[A-Za-z0-9-_]{1,64}$/);
        expect(named(a).startsWith(`${workflow}-${a}`.slice(0, 47))).toBe(true);
        expect(named(a) === named(b)).toBe(a === b);
      }),
    );
  });
});

function text(file: string): string {
  return readFileSync(new URL(`../../events/${file}.json`, import.meta.url), 'utf8');
}

function sample(file: string): unknown {
  return JSON.parse(text(file));
}

function record(file: string): { Sns: { Message: string } } {
  return JSON.parse(text(file)).Records[0];
}

function sns(message: string) {
  return { Records: [{ EventSource: 'aws:sns', Sns: { Message: message } }] };
}

function onlyStarts(decision: ReturnType<typeof parseTrigger>[number]) {
  return decision.kind === 'start' ? [decision] : [];
}

function startsOf(event: unknown) {
  return parseTrigger(event, context).flatMap(onlyStarts);
}

function toRequest({ command, cause }: ReturnType<typeof startsOf>[number]) {
  return { name: executionName(command, cause), payload: JSON.stringify(command) };
}

function refusal(event: unknown): string {
  try {
    parseTrigger(event, context);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message;
    throw error;
  }
  throw new Error('was not refused');
}

function outcome(event: unknown): 'decided' | 'refused' | 'crash' {
  try {
    return parseTrigger(event, context).length > 0 ? 'decided' : 'crash';
  } catch (error) {
    return error instanceof InvalidInputError && error.problems.length > 0 ? 'refused' : 'crash';
  }
}

/** A copy with the value at one of its places, the `where`-th of all, replaced. */
function replaced(input: unknown, where: number, value: unknown): unknown {
  const copy: unknown = structuredClone(input);
  const places: (() => void)[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push(() => Reflect.set(node, key, value));
      walk(Reflect.get(node, key));
    }
  };
  walk(copy);
  places[where % places.length]?.();
  return copy;
}

function nested(depth: number): unknown {
  let value: unknown = {};
  for (let i = 0; i < depth; i++) value = { workflow: value };
  return value;
}

function moment() {
  return fc
    .date({ min: new Date('2020-01-01T00:00:00Z'), max: new Date('2100-01-01T00:00:00Z'), noInvalidDate: true })
    .map((date) => date.toISOString().replace('Z', '+0000'));
}

function arn(name: string): string {
  return `arn:aws:cloudwatch:eu-central-1:111122223333:alarm:${name}`;
}

function eventBridge(name: string, value: string, timestamp: string): unknown {
  const detail = { alarmName: name, state: { value, timestamp } };
  return { 'detail-type': 'CloudWatch Alarm State Change', source: 'aws.cloudwatch', resources: [arn(name)], detail };
}

function lambdaAction(name: string, value: string, timestamp: string): unknown {
  return { source: 'aws.cloudwatch', alarmArn: arn(name), alarmData: { alarmName: name, state: { value, timestamp } } };
}

function classicMessage(name: string, value: string, at: string): unknown {
  return sns(JSON.stringify({ AlarmName: name, AlarmArn: arn(name), NewStateValue: value, StateChangeTime: at }));
}
