// R11: members in CrashLoopBackOff, and their kubelets restarted through Systems Manager, which runs the document's own
// script.
import { afterEach, describe, expect, it } from 'vitest';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import {
  fill,
  kubeletRestarts,
  type OnNodes,
  recover,
  startOnNodes,
  stopOnNodes,
  until,
} from '../../lab/runs/on-nodes.ts';
import { defragmentations, outcomes } from '../../lab/runs/recover.ts';

let here: OnNodes;
afterEach(() => stopOnNodes(here ?? {}));

/**
 * After so many the kubelet waits for as long as it ever does, 5 minutes or 12 s here: a run must not find the member
 * back by itself.
 */
const CRASHES = 7;

/** Kills a member until its kubelet makes it wait for minutes. */
async function crashLoop(name: string): Promise<void> {
  const { kubelet } = here.plane.member(name);
  for (let crash = 0; crash < CRASHES; crash++) {
    await until(() => kubelet.pid !== undefined, `the process of ${name}`);
    here.plane.kill(name);
    await until(() => kubelet.pid === undefined || kubelet.restartCount > crash, `the end of ${name}`);
  }
  await until(() => kubelet.state === 'CrashLoopBackOff', `the back-off of ${name}`);
}

describe('recover, where etcd is in CrashLoopBackOff', () => {
  it('R11: with the quorum held restarts only the kubelet of the member that is away', async () => {
    here = await startOnNodes();
    await fill(here);
    await crashLoop('cp-2');
    const rules = watchRules(here.plane);

    const report = await recover(here);

    expect(report.outcome, report.reason).toBe('recovered');
    expect(kubeletRestarts(here)).toEqual(['cp-2']);
    expect(outcomes(report)).toMatchObject({ 'restart kubelet cp-2.control-plane.internal': 'done' });
    expect(await listAlarms(here.plane)).toEqual([]);
    expect(await rules.violations()).toEqual([]);
  });

  it('a kubelet that does not come back: escalated, with the node and what was tried', async () => {
    here = await startOnNodes();
    await fill(here);
    // Down for good: a back-off might end by itself meanwhile.
    await here.plane.stopMember('cp-2');
    here.plane.member('cp-2').kubelet.breakRestart = 'fails';
    const armed = await listAlarms(here.plane);

    const report = await recover(here);

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('cp-2');
    expect(outcomes(report)).toMatchObject({ 'restart kubelet cp-2.control-plane.internal': 'failed' });
    expect(armed.length).toBeGreaterThan(0);
    expect(await listAlarms(here.plane)).toEqual(armed);
    expect(Object.values(await defragmentations(here.plane, ['cp-1', 'cp-3']))).toEqual([0, 0]);
  });

  it('one node out of reach: restarts the others, which brings the quorum back, and says who is left', async () => {
    here = await startOnNodes();
    await fill(here);
    await here.plane.stopMember('cp-3');
    await Promise.all(['cp-1', 'cp-2'].map((name) => crashLoop(name)));
    const away = here.plane.node('cp-3');
    away.pingStatus = 'ConnectionLost';

    const report = await recover(here);

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('cp-3');
    expect(kubeletRestarts(here)).toEqual(['cp-1', 'cp-2']);
    expect(report.steps.find(({ name }) => name === `restart kubelet ${away.computerName}`)?.detail).toContain(
      'offline',
    );
  });

  it('in a dry run says which kubelets it would restart, and sends nothing', async () => {
    here = await startOnNodes();
    await fill(here);
    await here.plane.stopMember('cp-2');

    const report = await recover(here, { dryRun: true });

    expect(report.outcome).toBe('planned');
    expect(report.plan?.map(({ name }) => name)).toEqual(['restart kubelet cp-2.control-plane.internal', 'observe']);
    expect(here.aws.ssm.commands).toEqual([]);
  });
});
