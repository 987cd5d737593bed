// The worst hour on kubeadm up to 1.24: its probes kill an etcd in NOSPACE again and again, until every node waits for minutes.
import { afterEach, describe, expect, it } from 'vitest';
import { documentName } from '../../functions/nodes/documents.ts';
import { inspectNodeDocument, restartKubeletDocument } from '../../lib/documents/document-content.ts';
import { type AwsStandIn, startAws } from '../aws/stand-in.ts';
import { listAlarms, putThrough } from '../control-plane/alarms.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { backOffsOfMinutes, lastBackOffEndsAt } from '../control-plane/crash-loop.ts';
import { fillWithReports } from '../control-plane/fill.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { watchRules } from '../control-plane/rule-watch.ts';
import { recoverPlane } from '../recover/harness.ts';

const MiB = 1024 * 1024;
const SPEED = 25;

let plane: ControlPlane | undefined;
let aws: AwsStandIn | undefined;
afterEach(async () => {
  await aws?.stop();
  await plane?.stop();
});

describe('recover, on kubeadm up to 1.24', () => {
  it('R11: restarts all kubelets at the same time, and recovers before the probes kill etcd again', async () => {
    // Prepare
    plane = await startControlPlane({ quotaBytes: 16 * MiB, nodes: true, kubeletSpeed: SPEED, probes: '<=1.24' });
    aws = await startAws({ secondMs: 1000 / SPEED });
    aws.enter();
    for (const node of plane.nodes) aws.ssm.nodes.set(node.instanceId, node);
    aws.ssm.documents.set(documentName('control-plane', 'RestartKubelet'), restartKubeletDocument());
    aws.ssm.documents.set(documentName('control-plane', 'InspectNode'), inspectNodeDocument());
    await fillWithReports(plane, { reportBytes: 50_000 });
    const { members } = plane;
    await backOffsOfMinutes(plane);
    const endsAt = lastBackOffEndsAt(plane);
    const rules = watchRules(plane);

    // Act
    const report = await recoverPlane(plane, { skipTime: false, speed: SPEED });

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
