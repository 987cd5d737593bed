// A run with nodes, the switch and a snapshot: what is looked at before the first change, and what stops it there.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { documentName } from '../../functions/contract/documents.ts';
import { listAlarms, putThrough, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { BRIDGE_ADDRESS, type ControlPlaneNode } from '../../lab/control-plane/node.ts';
import { MountNotPermittedError, smallFilesystem } from '../../lab/control-plane/small-filesystem.ts';
import {
  fill,
  kubeletRestarts,
  type OnNodes,
  recover,
  startOnNodes,
  stopOnNodes,
  until,
} from '../../lab/runs/on-nodes.ts';
import { outcomes } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** As where etcd advertises names of a zone that others don't resolve. */
const ADVERTISE_NOWHERE = '--advertise-client-urls=https://127.0.0.1:1';

let here: OnNodes;
afterEach(() => stopOnNodes(here ?? {}));

async function expectWritable({ plane }: OnNodes): Promise<void> {
  expect(await listAlarms(plane)).toEqual([]);
  for (const { endpoint } of plane.members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
}

describe('recover, where all members answer', () => {
  it('R11: kubeadm 1.25 to 1.30: restarts nothing, and finishes before a startup probe gives up', async () => {
    // etcd itself isn't faster: by this clock the probe gives up after 48 s, where a recovery takes two or three, or
    // ten on a slow machine.
    const speed = 5;
    here = await startOnNodes({ probes: '1.25-1.30', kubeletSpeed: speed });
    await fill(here);
    here.plane.kill('cp-1');
    await until(() => here.plane.member('cp-1').kubelet.restartCount > 0, 'the restart of cp-1');
    await here.plane.ready();

    const report = await recover(here, { speed });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(kubeletRestarts(here)).toEqual([]);
    const killed = here.plane.members.flatMap(({ kubelet }) =>
      kubelet.events.filter(({ event }) => event === 'Killing'),
    );
    expect(killed).toEqual([]);
    await expectWritable(here);
  });

  it('R7: is not recovered where at the last look nobody answers any more', async () => {
    here = await startOnNodes();
    await fill(here);
    const { plane } = here;
    let stopped: Promise<unknown> | undefined;

    const report = await recover(here, {
      configuration: { recover: { watchSeconds: 1 } },
      onOperation: ({ name, to }) => {
        if (name !== 'watch' || to !== 'SUCCEEDED') return;
        stopped = Promise.all(plane.members.map((member) => plane.stopMember(member.name, 'SIGKILL')));
      },
    });

    await stopped;
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain('the last look did not find everything well: none of the 3 endpoints answered');
  });

  it('finds etcd by its nodes where no endpoints are configured', async () => {
    here = await startOnNodes();
    await fill(here);

    const report = await recover(here, { configuration: { etcd: { endpoints: undefined } } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(outcomes(report)).toMatchObject({ nodes: 'done', disk: 'done', snapshot: 'done', switch: 'done' });
    expect(report.contents?.kinds[0]?.resource).toBe('vulnerabilityreports.aquasecurity.github.io');
    await expectWritable(here);
  });

  it("knows a member's node by where it answers, where it advertises an address that is no node's", async () => {
    here = await startOnNodes({ flags: [ADVERTISE_NOWHERE] });
    await fill(here);

    const report = await recover(here, { configuration: { etcd: { endpoints: undefined } } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(outcomes(report)).toMatchObject({ disk: 'done' });
    await expectWritable(here);
  });

  it("R11: restarts no kubelet where Systems Manager has a bridge's address of every node, but asks the nodes where etcd is", async () => {
    here = await startOnNodes();
    await fill(here);
    for (const node of here.plane.nodes) node.ipAddress = BRIDGE_ADDRESS;

    const report = await recover(here, { configuration: { etcd: { endpoints: undefined } } });

    expect(kubeletRestarts(here)).toEqual([]);
    expect(report.outcome, report.reason).toBe('recovered');
    expect(outcomes(report)).toMatchObject({ 'ask nodes': 'done', 'observe at the nodes': 'done', disk: 'done' });
    await expectWritable(here);
  });

  it('R11: finds etcd at the nodes where the only endpoint that is configured is silent, and restarts no kubelet', async () => {
    here = await startOnNodes();
    await fill(here);

    const report = await recover(here, { configuration: { etcd: { endpoints: ['https://127.0.0.1:1'] } } });

    expect(kubeletRestarts(here)).toEqual([]);
    expect(report.outcome, report.reason).toBe('recovered');
    await expectWritable(here);
  });

  it("R6: a data folder that is not etcd's: refused before the first change, with the folder that its manifest names", async () => {
    here = await startOnNodes();
    await fill(here);
    for (const { root } of here.plane.nodes) await mkdir(join(root, 'data/etcd'), { recursive: true });
    const before = await snapshotOfState(here.plane);

    const report = await recover(here, { configuration: { etcd: { dataDir: '/data/etcd' } } });

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toMatch(
      /^R6: .*there is no database at \/data\/etcd\/member\/snap\/db: etcd's manifest says --data-dir=\/var\/lib\/etcd; set etcd\.dataDir to \/var\/lib\/etcd/,
    );
    expect(outcomes(report)).toMatchObject({ disk: 'failed' });
    expect(await snapshotOfState(here.plane)).toEqual(before);
  });

  it('R6: an SSM agent that is too old for the documents: refused, and named with its version', async () => {
    here = await startOnNodes();
    await fill(here);
    here.plane.node('cp-2').agentVersion = '3.3.987.0';

    const report = await recover(here);

    const named = 'its SSM agent 3.3.987.0 is older than 3.3.2746.0';
    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toMatch(/^R6: .*cp-2/);
    expect(report.reason).toContain(named);
    for (const step of ['nodes', 'disk']) {
      expect(report.steps.find(({ name }) => name === step)?.detail).toContain(named);
    }
  });

  it.each<[string, Partial<Pick<ControlPlaneNode, 'pingStatus' | 'fault'>>, string | RegExp]>([
    ['whose SSM agent is offline', { pingStatus: 'ConnectionLost' }, 'offline'],
    ['that answers the ping but whose command times out', { fault: { kind: 'hanging' } }, /TimedOut|did not end/],
    ['that may not be sent commands', { fault: { kind: 'access-denied' } }, /may not send/],
  ])('R6: a node %s: refused before the first change, and named', async (_what, trouble, words) => {
    here = await startOnNodes();
    await fill(here);
    Object.assign(here.plane.node('cp-2'), trouble);
    const before = await snapshotOfState(here.plane);

    const report = await recover(here);

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^R6: .*cp-2/);
    expect(report.reason).toMatch(words);
    expect(await snapshotOfState(here.plane)).toEqual(before);
    expect(kubeletRestarts(here)).toEqual([]);
  });

  it('R6: nodes that cannot be listed: refused before the first change', async () => {
    here = await startOnNodes();
    await fill(here);
    here.aws.ssm.refuseNext('DescribeInstanceInformation', 100, 'AccessDeniedException');
    const before = await snapshotOfState(here.plane);

    const report = await recover(here);

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^R6: .*could not be listed/);
    expect(await snapshotOfState(here.plane)).toEqual(before);
  });

  it('R6: a really small disk: refused before anything was changed, with the bytes needed and found', async (context) => {
    const disk = await smallFilesystem(180 * MiB).catch((error: unknown) => {
      if (error instanceof MountNotPermittedError) return context.skip(error.message);
      throw error;
    });
    try {
      here = await startOnNodes({
        version: '3.4.23',
        quotaBytes: 48 * MiB,
        dataDirectories: { 'cp-2': disk.directory },
      });
      await fill(here);
      const before = await snapshotOfState(here.plane);

      const report = await recover(here);

      expect(report.outcome, report.reason).toBe('refused');
      expect(report.reason).toMatch(/R6: .*cp-2: \d+ bytes .* are needed under .*, \d+ bytes .* are free/);
      expect(await snapshotOfState(here.plane)).toEqual(before);
      expect(here.plane.member('cp-2').kubelet.restartCount).toBe(0);
    } finally {
      await here.plane.stop();
      await disk[Symbol.asyncDispose]();
    }
  });
});

describe('recover, where nobody answers', () => {
  it.each([
    ['their own addresses', []],
    ["an address that is no node's", [ADVERTISE_NOWHERE]],
  ])(
    'R11: says that it restarted kubelets where that was all there was to do: members that advertise %s',
    async (_what, flags) => {
      here = await startOnNodes({ flags });
      const { plane } = here;
      const names = plane.members.map(({ name }) => name);
      await Promise.all(names.map((name) => plane.stopMember(name, 'SIGKILL')));

      const report = await recover(here, {
        configuration: { etcd: { endpoints: undefined } },
        onOperation: ({ name, to }) => {
          // Down until then, as in a back-off that outlasts the run.
          if (name?.startsWith('restart kubelet on') && to === 'SUCCEEDED')
            for (const each of names) plane.startMember(each);
        },
      });

      expect(kubeletRestarts(here)).toEqual(names);
      expect(report.outcome, report.reason).toBe('recovered');
      expect(report.reason).toContain('after their kubelets were restarted');
      const waited = report.steps.find(({ name }) => name.startsWith('wait for etcd on'));
      expect(waited?.outcome, waited?.detail).toBe('done');
      await expectWritable(here);
    },
  );
});

describe('recover, where nobody answers and no kubelet can be restarted', () => {
  it('R11: does not say that restarting did not help: a document that is not there', async () => {
    here = await startOnNodes();
    const { plane, aws } = here;
    await Promise.all(plane.members.map(({ name }) => plane.stopMember(name, 'SIGKILL')));
    aws.ssm.documents.delete(documentName('control-plane', 'RestartKubelet'));

    const report = await recover(here);

    expect(kubeletRestarts(here)).toEqual([]);
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toMatch(
      /No kubelet was restarted where that could not be done: .*cp-1.*the document is not there/,
    );
    expect(report.reason).not.toContain('did not bring');
  });

  it('R11: names the agents that are too old to do it', async () => {
    here = await startOnNodes();
    const { plane } = here;
    await Promise.all(plane.members.map(({ name }) => plane.stopMember(name, 'SIGKILL')));
    for (const node of plane.nodes) node.agentVersion = '3.2.582.0';

    const report = await recover(here);

    expect(kubeletRestarts(here)).toEqual([]);
    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toContain('No kubelet was restarted (R11)');
    expect(report.steps.find(({ name }) => name === 'ask nodes')?.detail).toContain('its SSM agent 3.2.582.0 is older');
  });
});

describe('recover, where most members are out of its own reach', () => {
  it('R11: restarts no kubelet for it, because who answers shows that the quorum is held', async () => {
    here = await startOnNodes({ proxies: true });
    const { plane } = here;
    for (const name of ['cp-2', 'cp-3']) await plane.cut(name, { how: 'refused' });

    const report = await recover(here);

    expect(report.outcome, report.reason).toBe('nothing-to-do');
    expect(report.reason).toMatch(/cp-2 .* does not answer: .* cp-3 .* does not answer: /);
    expect(kubeletRestarts(here)).toEqual([]);
  });
});

describe('the switch and the snapshot', () => {
  it('R16: with the switch at observe a run ends after its decision, with the plan', async () => {
    here = await startOnNodes();
    await fill(here);
    here.aws.ssm.parameters.set(here.aws.switchParameter, 'observe');
    const before = await snapshotOfState(here.plane);

    const report = await recover(here);

    expect(report.outcome).toBe('planned');
    expect(report.reason).toContain('R16');
    expect(report.plan?.map(({ name }) => name)).toContain('disarm');
    expect(await snapshotOfState(here.plane)).toEqual(before);
  });

  it('R16: a switch that cannot be understood stops as well', async () => {
    here = await startOnNodes();
    await fill(here);
    here.aws.ssm.parameters.set(here.aws.switchParameter, 'off');
    const before = await snapshotOfState(here.plane);

    const report = await recover(here);

    expect(report.outcome).toBe('planned');
    expect(report.reason).toMatch(
      /^R16: the switch does not say what to do \(.* found "off", expected auto or observe/,
    );
    expect(report.steps.find(({ name }) => name === 'switch')?.detail).toContain('expected auto or observe');
    expect(await snapshotOfState(here.plane)).toEqual(before);
  });

  it('R13: takes a snapshot before the first change, where the configuration says so', async () => {
    here = await startOnNodes();
    const acknowledgedRevision = await fill(here);

    const report = await recover(here, { configuration: { snapshot: { order: 'before-compaction' } } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(here.aws.s3.objects).toHaveLength(1);
    // A write that was refused for want of space may have been applied all the same.
    const revision = /-(\d+)\.db$/.exec(here.aws.s3.objects[0]?.key ?? '')?.[1];
    expect(BigInt(revision ?? 0)).toBeGreaterThanOrEqual(acknowledgedRevision);
    const order = report.steps.map(({ name }) => name);
    expect(order.indexOf('snapshot')).toBeLessThan(order.indexOf('compact'));
  });

  it('R13: a snapshot that fails stops the run before its first change, or is passed over where that is configured', async () => {
    here = await startOnNodes();
    await fill(here);
    here.aws.s3.fail({ operation: 'CreateMultipartUpload', how: 'AccessDenied' });
    const before = await snapshotOfState(here.plane);

    const stopped = await recover(here);

    expect(stopped.outcome).toBe('escalated');
    expect(stopped.reason).toContain('R13');
    expect(await snapshotOfState(here.plane)).toEqual(before);

    const passedOver = await recover(here, { configuration: { snapshot: { onFailure: 'continue' } } });

    expect(passedOver.outcome, passedOver.reason).toBe('recovered');
    expect(outcomes(passedOver)).toMatchObject({ 'snapshot bucket': 'failed' });
  });

  it('takes none where snapshots are switched off, and says so', async () => {
    here = await startOnNodes();
    await fill(here);

    const report = await recover(here, { configuration: { snapshot: false } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(here.aws.s3.objects).toEqual([]);
    expect(report.steps.find(({ name }) => name === 'snapshot')).toMatchObject({ outcome: 'skipped' });
  });
});
