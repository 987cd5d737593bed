// Runs on members whose names etcd takes and other services do not.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPERATION_NAME } from '../../functions/engine/step-name.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** EC2's, with the longest name that a private zone allows for. */
const long = (index: number) => `ip-10-0-${index}-11.control-plane.production.eu-central-1.compute.internal`;

let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterAll(() => aws?.stop());

describe.each([
  ['umlauts, Chinese and an emoji', ['zürich-1', '控制面-1', '🧯 "three"']],
  ["seven of EC2's long ones", [1, 2, 3, 4, 5, 6, 7].map(long)],
])('members called with %s', (_, etcdNames) => {
  it('are recovered and maintained, with their names in the report', async () => {
    await using plane = await startControlPlane({ members: etcdNames.length, etcdNames, quotaBytes: 8 * MiB });
    await fillWithReports(plane, { reportBytes: 50_000 });
    const operations = new Set<string>();
    const onOperation = ({ name = 'none' }: { readonly name: string | undefined }) => void operations.add(name);

    const recovered = await recoverPlane(plane, { onOperation });
    await churn(plane, { reports: 20, reportBytes: 20_000, rewrites: 10 });
    const maintained = await maintainPlane(plane, { onOperation });

    expect(recovered.outcome, recovered.reason).toBe('recovered');
    expect(recovered.members.map(({ name }) => name).toSorted()).toEqual(etcdNames.toSorted());
    expect(recovered.steps.find(({ name }) => name === 'snapshot')?.outcome).toBe('done');
    expect(await listAlarms(plane)).toEqual([]);
    expect(maintained.outcome, maintained.reason).toBe('maintained');
    expect([...operations].filter((name) => !OPERATION_NAME.test(name))).toEqual([]);
  });
});
