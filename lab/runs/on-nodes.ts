// A plane whose nodes are under Systems Manager, and runs on it, all with the same sped-up clock.
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../aws/stand-in.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { fillWithReports } from '../control-plane/fill.ts';
import { manageNodes } from '../control-plane/managed-nodes.ts';
import type { ControlPlaneOptions } from '../control-plane/options.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { type RecoverOptions, recoverPlane } from './recover.ts';

const MiB = 1024 * 1024;
/** Kubelets, Systems Manager and the durable engine run so many times faster; etcd itself can't. */
export const SPEED = 25;

export interface OnNodes {
  readonly plane: ControlPlane;
  readonly aws: AwsStandIn;
}

/**
 * Starts both; `aws` is entered, so one at a time.
 * @param awsSpeed of Systems Manager's own times. @default SPEED
 */
export async function startOnNodes({
  awsSpeed = SPEED,
  ...options
}: ControlPlaneOptions & { readonly awsSpeed?: number } = {}): Promise<OnNodes> {
  const plane = await startControlPlane({ quotaBytes: 16 * MiB, nodes: true, kubeletSpeed: SPEED, ...options });
  const aws = await startAws({ secondMs: 1000 / awsSpeed });
  aws.enter();
  manageNodes(aws, plane);
  return { plane, aws };
}

export async function stopOnNodes({ plane, aws }: Partial<OnNodes>): Promise<void> {
  await aws?.stop();
  await plane?.stop();
}

export async function fill({ plane }: OnNodes): Promise<bigint> {
  return (await fillWithReports(plane, { reportBytes: 50_000 })).acknowledgedRevision;
}

export function recover({ plane }: OnNodes, options: RecoverOptions = {}): Promise<RunReport> {
  return recoverPlane(plane, { skipTime: false, speed: SPEED, ...options });
}

/** Names of the members whose kubelet was restarted, by whomever. */
export function kubeletRestarts({ plane }: OnNodes): string[] {
  const restarted = plane.members.filter(({ kubelet }) =>
    kubelet.events.some(({ event }) => event === 'KubeletRestarted'),
  );
  return restarted.map(({ name }) => name);
}

/** @throws Error after five minutes: kubelets that are to wait at the same time come to it by chance */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const giveUpAt = Date.now() + 5 * 60_000;
  while (!condition()) {
    if (Date.now() > giveUpAt) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
