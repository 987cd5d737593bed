// Whatever members, nodes and clusters are called: everything that a run sends somewhere is taken there. The stand-ins
// refuse what the services refuse.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishReport } from '../../functions/aws/events.ts';
import { recordRun } from '../../functions/aws/history.ts';
import { parseCluster } from '../../functions/contract/configuration.ts';
import type { ProbedMember } from '../../functions/contract/probe-record.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { OPERATION_NAME, operationName } from '../../functions/engine/step-name.ts';
import { composeMessage } from '../../functions/notify/message.ts';
import { publish } from '../../functions/notify/topic.ts';
import { publishMetrics } from '../../functions/probe/publish.ts';
import type { ClusterFigures } from '../../functions/probe/summary.ts';
import { drawPage } from '../../functions/widget/page.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { captured } from '../probe/harness.ts';
import { healthy, look, member as widgetMember } from '../widget/situations.ts';
import { clusterName, EC2_NAMES, LONGEST_CLUSTER_NAME, memberName, NASTY_NAMES } from './names.ts';
import { sampleReport, step } from './sample-report.ts';

/** Calls over the wire take milliseconds each. */
const ON_THE_WIRE = { numRuns: 60 };
const EXECUTION = 'arn:aws:lambda:eu-west-1:111122223333:function:f:1/durable-execution/n/1';

let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterAll(() => aws?.stop());

/** As a run would end in it that speaks of its members wherever it can. */
function reportOf(cluster: string, names: readonly string[], outcome: RunReport['outcome']): RunReport {
  const [sample] = sampleReport().members;
  if (sample === undefined) throw new Error('the sample report has no member');
  return sampleReport({
    cluster,
    outcome,
    reason: `Only ${names.join(', ')} answered.`,
    members: names.map((name, index) => ({ ...sample, id: `a${index}`, name })),
    steps: names.map((name) => step(`defragment ${name}`, `${name} is through`)),
  });
}

const reports = fc
  .tuple(clusterName, fc.array(memberName, { minLength: 1, maxLength: 7 }), fc.constantFrom('recovered', 'escalated'))
  .map(([cluster, names, outcome]) => reportOf(cluster, names, outcome as RunReport['outcome']));

describe('any name of a member', () => {
  it('makes no name of a durable operation that the service refuses', () => {
    fc.assert(
      fc.property(fc.array(memberName), (names) => {
        expect(operationName(`defragment ${names.join(', ')}`)).toMatch(OPERATION_NAME);
        expect(operationName(names.join())).toMatch(OPERATION_NAME);
      }),
    );
  });

  it('is told to people: SNS takes the message', async () => {
    await fc.assert(
      fc.asyncProperty(reports, async (report) => {
        const place = { switchParameter: '/etcd-medic/demo/mode', execution: EXECUTION, topicArn: aws.sns.topic };

        await publish(aws.sns.topic, composeMessage(report, place));
      }),
      ON_THE_WIRE,
    );
  });

  it('is in the event on the bus and in the history as it is', async () => {
    await fc.assert(
      fc.asyncProperty(reports, async (report) => {
        await publishReport({ bus: aws.bus, report, execution: EXECUTION });
        await recordRun({ table: aws.table, report, execution: EXECUTION });

        const event: unknown = JSON.parse(JSON.stringify(aws.events.at(-1)?.detail));
        expect(event).toMatchObject({ members: report.members.map(({ id }) => ({ id })) });
      }),
      ON_THE_WIRE,
    );
  });

  it('makes no dimension of a metric that CloudWatch refuses, and none that two members share', async () => {
    await fc.assert(
      fc.asyncProperty(clusterName, fc.array(memberName, { maxLength: 7 }), async (cluster, names) => {
        const members = names.map((name, index) => probed(`a${index}`, name));
        const { metrics } = await captured(async () => publishMetrics({ cluster, at: new Date(), figures, members }));

        const told = metrics.flatMap((line) => ('member' in line ? [line.member] : []));
        expect(told).toHaveLength(names.length);
        expect(new Set(told).size).toBe(names.length);
        // "Dimension" in the CloudWatch API reference: 1 to 1,024 ASCII characters, not all blank, no control
        // characters, no colon first.
        for (const each of told) expect(each).toMatch(/^(?!:)(?=.*\S)[\x20-\x7e]{1,1024}$/);
      }),
    );
  });

  it("is drawn on the dashboard's page", () => {
    fc.assert(
      fc.property(fc.array(memberName, { maxLength: 7 }), (names) => {
        const members = names.map((name, index) => widgetMember(index + 1, { name }));
        const page = drawPage({ ...healthy, look: look(members) }, { theme: 'light', width: 400, offsetMinutes: 0 });

        expect(page).not.toContain('<b>&amp;</b>');
      }),
      { numRuns: 30 },
    );
  });
});

describe('any name of a cluster', () => {
  it.each([LONGEST_CLUSTER_NAME, ...EC2_NAMES.slice(0, 1), ...NASTY_NAMES])(
    'is taken, or refused with words: %j',
    (name) => {
      const configuration = { name, etcd: { endpoints: ['http://10.0.0.1:2379'] } };
      const isOurs = /^[a-z0-9-]+$/.test(name) && name.length <= 39;

      if (isOurs) expect(parseCluster(configuration, 'test').name).toBe(name);
      else expect(() => parseCluster(configuration, 'test')).toThrow(/name/);
    },
  );
});

const figures: ClusterFigures = {
  nospaceAlarms: 0,
  corruptAlarms: 0,
  membersAnswering: 1,
  membersAway: 0,
  hasLeader: 1,
  quotaUsage: 1,
};

function probed(id: string, name: string): ProbedMember {
  return { ...widgetMember(1, { name }), id };
}
