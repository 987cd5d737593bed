// The worst hour on kubeadm up to 1.24: its probes kill an etcd in NOSPACE again and again, until every node waits for
// minutes.
import { afterEach, describe, expect, it } from 'vitest';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { backOffsOfMinutes, changeKubeletSpeed, lastBackOffEndsAt } from '../../lab/control-plane/crash-loop.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { fill, type OnNodes, recover, startOnNodes, stopOnNodes } from '../../lab/runs/on-nodes.ts';

/** Until all of them wait for minutes. */
const COMING_ABOUT_SPEED = 15;
/**
 * Nothing else here is faster than in life: the recovery takes 7 s and, where every node is asked first, 11 s of real
 * time, more on a busy machine, so that two minutes of the kubelets' time last for a minute.
 */
const SPEED = 2;

let here: OnNodes | undefined;
afterEach(() => stopOnNodes(here ?? {}));

describe('recover, on kubeadm up to 1.24', () => {
  it('R11: restarts all kubelets at the same time, and recovers before the probes kill etcd again', async () => {
    // Prepare
    here = await startOnNodes({ probes: '<=1.24', kubeletSpeed: COMING_ABOUT_SPEED });
    const { plane, aws } = here;
    await fill(here);
    const { members } = plane;
    await backOffsOfMinutes(plane);
    changeKubeletSpeed(plane, SPEED);
    const endsAt = lastBackOffEndsAt(plane);
    const rules = watchRules(plane, { snapshots: aws.s3 });

    // Act
    const report = await recover(here, { speed: SPEED });

    // Assess
    expect(report.outcome, report.reason).toBe('recovered');
    const writableAt = Date.parse(report.steps.find(({ name }) => name === 'canary')?.startedAt ?? '');
    const savedSeconds = (SPEED * (endsAt - writableAt)) / 1000;
    console.log(
      `writable ${savedSeconds.toFixed(0)} s before the last back-off would have ended, and before the probes' next kill`,
    );
    expect(writableAt).toBeLessThan(endsAt);
    expect(await listAlarms(plane)).toEqual([]);
    for (const { endpoint } of members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
    for (const { kubelet } of members)
      expect(kubelet.events.some(({ event }) => event === 'KubeletRestarted')).toBe(true);
    expect(aws.ssm.commands.filter(({ document }) => document.endsWith('RestartKubelet'))).toHaveLength(1);
    expect(await rules.violations()).toEqual([]);
  });
});
