// The worst hour: etcd isn't even there, and the nodes are reached through Systems Manager, which runs the documents' own scripts.
import { afterEach, describe, expect, it } from 'vitest';
import { documentName } from '../../functions/nodes/documents.ts';
import type { RunReport } from '../../functions/run/report.ts';
import { inspectNodeDocument, restartKubeletDocument } from '../../lib/documents/document-content.ts';
import { type AwsStandIn, startAws } from '../aws/stand-in.ts';
import { listAlarms, putThrough, snapshotOfState } from '../control-plane/alarms.ts';
import { type ControlPlaneOptions, startControlPlane } from '../control-plane/control-plane.ts';
import { fillWithReports } from '../control-plane/fill.ts';
import type { ControlPlaneNode } from '../control-plane/node.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { watchRules } from '../control-plane/rule-watch.ts';
import { MountNotPermittedError, smallFilesystem } from '../control-plane/small-filesystem.ts';
import { defragmentations, outcomes, type RecoverOptions, recoverPlane } from './harness.ts';

const MiB = 1024 * 1024;
const CLUSTER = 'control-plane';
/** Kubelets, Systems Manager and the durable engine run so many times faster; etcd itself can't. */
const SPEED = 25;

let plane: ControlPlane;
let aws: AwsStandIn;
afterEach(async () => {
  await aws?.stop();
  await plane?.stop();
});

async function start(options: ControlPlaneOptions = {}): Promise<void> {
  plane = await startControlPlane({ quotaBytes: 16 * MiB, nodes: true, kubeletSpeed: SPEED, ...options });
  aws = await startAws({ secondMs: 1000 / SPEED });
  aws.enter();
  for (const node of plane.nodes) aws.ssm.nodes.set(node.instanceId, node);
  aws.ssm.documents.set(documentName(CLUSTER, 'RestartKubelet'), restartKubeletDocument());
  aws.ssm.documents.set(documentName(CLUSTER, 'InspectNode'), inspectNodeDocument());
}

const fill = () => fillWithReports(plane, { reportBytes: 50_000 });

function recover(options: RecoverOptions = {}): Promise<RunReport> {
  return recoverPlane(plane, { skipTime: false, speed: SPEED, ...options });
}

async function until(condition: () => boolean, what: string, withinMs = 60_000): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > giveUpAt) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function expectWritable(): Promise<void> {
  expect(await listAlarms(plane)).toEqual([]);
  for (const { endpoint } of plane.members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
}

const kubeletRestarts = () =>
  plane.members
    .filter(({ kubelet }) => kubelet.events.some(({ event }) => event === 'KubeletRestarted'))
    .map(({ name }) => name);
const kills = () => plane.members.flatMap(({ kubelet }) => kubelet.events.filter(({ event }) => event === 'Killing'));

/** Kills a member until its kubelet makes it wait for minutes. */
async function crashLoop(name: string): Promise<void> {
  const { kubelet } = plane.member(name);
  for (let crash = 0; crash < 6; crash++) {
    await until(() => kubelet.pid !== undefined, `the process of ${name}`);
    plane.kill(name);
    await until(() => kubelet.pid === undefined || kubelet.restartCount > crash, `the end of ${name}`);
  }
  await until(() => kubelet.state === 'CrashLoopBackOff', `the back-off of ${name}`);
}

describe('recover, where etcd is in CrashLoopBackOff', () => {
  it('R11: with the quorum held restarts only the kubelet of the member that is away', async () => {
    await start();
    await fill();
    await crashLoop('cp-2');
    const rules = watchRules(plane);

    const report = await recover();

    expect(report.outcome, report.reason).toBe('recovered');
    expect(kubeletRestarts()).toEqual(['cp-2']);
    expect(outcomes(report)).toMatchObject({ 'restart kubelet cp-2.control-plane.internal': 'done' });
    await expectWritable();
    expect(await rules.violations()).toEqual([]);
  });

  it('a kubelet that does not come back: escalated, with the node and what was tried', async () => {
    await start();
    await fill();
    await crashLoop('cp-2');
    plane.member('cp-2').kubelet.breakRestart = 'fails';

    const report = await recover();

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('cp-2');
    expect(outcomes(report)).toMatchObject({ 'restart kubelet cp-2.control-plane.internal': 'failed' });
    expect(await listAlarms(plane)).toHaveLength(3);
    expect(Object.values(await defragmentations(plane, ['cp-1', 'cp-3']))).toEqual([0, 0]);
  });

  it('one node out of reach: restarts the others, which brings the quorum back, and says who is left', async () => {
    await start();
    await fill();
    await Promise.all(plane.members.map(({ name }) => crashLoop(name)));
    const away = plane.node('cp-3');
    away.pingStatus = 'ConnectionLost';

    const report = await recover();

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('cp-3');
    expect(kubeletRestarts()).toEqual(['cp-1', 'cp-2']);
    expect(report.steps.find(({ name }) => name === `restart kubelet ${away.computerName}`)?.detail).toContain(
      'offline',
    );
  });

  it('in a dry run says which kubelets it would restart, and sends nothing', async () => {
    await start();
    await fill();
    await crashLoop('cp-2');

    const report = await recover({ dryRun: true });

    expect(report.outcome).toBe('planned');
    expect(report.plan?.map(({ name }) => name)).toEqual(['restart kubelet cp-2.control-plane.internal', 'observe']);
    expect(aws.ssm.commands).toEqual([]);
  });
});

describe('recover, where all members answer', () => {
  it('R11: kubeadm 1.25 to 1.30: restarts nothing, and finishes before a startup probe gives up', async () => {
    await start({ probes: '1.25-1.30' });
    await fill();
    plane.kill('cp-1');
    await until(() => plane.member('cp-1').kubelet.restartCount > 0, 'the restart of cp-1');
    await plane.ready();

    const report = await recover();

    expect(report.outcome, report.reason).toBe('recovered');
    expect(kubeletRestarts()).toEqual([]);
    expect(kills()).toEqual([]);
    await expectWritable();
  });

  it('finds etcd by its nodes where no endpoints are configured', async () => {
    await start();
    await fill();

    const report = await recover({ configuration: { etcd: { endpoints: undefined } } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(outcomes(report)).toMatchObject({ nodes: 'done', disk: 'done', snapshot: 'done', switch: 'done' });
    await expectWritable();
  });

  it.each<[string, Partial<Pick<ControlPlaneNode, 'pingStatus' | 'fault'>>, string | RegExp]>([
    ['whose SSM agent is offline', { pingStatus: 'ConnectionLost' }, 'offline'],
    ['that answers the ping but whose command times out', { fault: { kind: 'hanging' } }, /TimedOut|did not end/],
    ['that may not be sent commands', { fault: { kind: 'access-denied' } }, /may not send/],
  ])('R6: a node %s: refused before the first change, and named', async (_what, trouble, words) => {
    await start();
    await fill();
    Object.assign(plane.node('cp-2'), trouble);
    const before = await snapshotOfState(plane);

    const report = await recover();

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^R6: .*cp-2/);
    expect(report.reason).toMatch(words);
    expect(await snapshotOfState(plane)).toEqual(before);
    expect(kubeletRestarts()).toEqual([]);
  });

  it('R6: nodes that cannot be listed: refused before the first change', async () => {
    await start();
    await fill();
    aws.ssm.refuseNext('DescribeInstanceInformation', 100, 'AccessDeniedException');
    const before = await snapshotOfState(plane);

    const report = await recover();

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^R6: .*could not be listed/);
    expect(await snapshotOfState(plane)).toEqual(before);
  });

  it('R6: a really small disk: refused before anything was changed, with the bytes needed and found', async (context) => {
    const disk = await smallFilesystem(180 * MiB).catch((error: unknown) => {
      if (error instanceof MountNotPermittedError) return context.skip(error.message);
      throw error;
    });
    try {
      await start({ version: '3.4.23', quotaBytes: 48 * MiB, dataDirectories: { 'cp-2': disk.directory } });
      await fill();
      const before = await snapshotOfState(plane);

      const report = await recover();

      expect(report.outcome, report.reason).toBe('refused');
      expect(report.reason).toMatch(/R6: .*cp-2: \d+ bytes .* are needed under .*, \d+ bytes .* are free/);
      expect(await snapshotOfState(plane)).toEqual(before);
      expect(plane.member('cp-2').kubelet.restartCount).toBe(0);
    } finally {
      await plane?.stop();
      await disk[Symbol.asyncDispose]();
    }
  });
});

describe('the switch and the snapshot', () => {
  it('R16: with the switch at observe a run ends after its decision, with the plan', async () => {
    await start();
    await fill();
    aws.ssm.parameters.set(aws.switchParameter, 'observe');
    const before = await snapshotOfState(plane);

    const report = await recover();

    expect(report.outcome).toBe('planned');
    expect(report.reason).toContain('R16');
    expect(report.plan?.map(({ name }) => name)).toContain('disarm');
    expect(await snapshotOfState(plane)).toEqual(before);
  });

  it('R16: a switch that cannot be understood stops as well', async () => {
    await start();
    await fill();
    aws.ssm.parameters.set(aws.switchParameter, 'off');
    const before = await snapshotOfState(plane);

    const report = await recover();

    expect(report.outcome).toBe('planned');
    expect(report.steps.find(({ name }) => name === 'switch')?.detail).toContain('expected auto or observe');
    expect(await snapshotOfState(plane)).toEqual(before);
  });

  it('R13: takes a snapshot before the first change', async () => {
    await start();
    const { acknowledgedRevision } = await fill();

    const report = await recover();

    expect(report.outcome, report.reason).toBe('recovered');
    expect(aws.s3.objects).toHaveLength(1);
    expect(aws.s3.objects[0]?.key).toContain(`-${acknowledgedRevision}.db`);
    const order = report.steps.map(({ name }) => name);
    expect(order.indexOf('snapshot')).toBeLessThan(order.indexOf('compact'));
  });

  it('R13: a snapshot that fails stops the run before its first change, or is passed over where that is configured', async () => {
    await start();
    await fill();
    aws.s3.fail({ operation: 'CreateMultipartUpload', how: 'AccessDenied' });
    const before = await snapshotOfState(plane);

    const stopped = await recover();

    expect(stopped.outcome).toBe('escalated');
    expect(stopped.reason).toContain('R13');
    expect(await snapshotOfState(plane)).toEqual(before);

    const passedOver = await recover({ configuration: { snapshot: { onFailure: 'continue' } } });

    expect(passedOver.outcome, passedOver.reason).toBe('recovered');
    expect(outcomes(passedOver)).toMatchObject({ snapshot: 'failed' });
  });

  it('takes none where snapshots are switched off, and says so', async () => {
    await start();
    await fill();

    const report = await recover({ configuration: { snapshot: false } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(aws.s3.objects).toEqual([]);
    expect(report.steps.find(({ name }) => name === 'snapshot')).toMatchObject({ outcome: 'skipped' });
  });
});
