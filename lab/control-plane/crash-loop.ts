// The worst hour, as it comes about: kubelets whose probes kill an etcd in NOSPACE, and wait longer after each time.
import { setTimeout as wait } from 'node:timers/promises';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import type { ControlPlane } from './plane.ts';

/**
 * Of the kubelets' time: what all of them still have to wait at least; in step with each other they could all be at
 * 80 s.
 */
const LEFT_MS = 130_000;
const LOOK_EVERY_MS = 50;
const GIVE_UP_AFTER_MS = 5 * 60_000;

/**
 * Waits until every member is down, and its kubelet will not start it for two minutes or more.
 * @param say told about each change
 * @throws EtcdMedicError after five minutes
 */
export async function backOffsOfMinutes(
  { members }: ControlPlane,
  say: (line: string) => void = () => {},
): Promise<void> {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  let told = '';
  for (;;) {
    const line = members
      .map(({ name, kubelet }) => `${name} ${kubelet.state}, ${kubelet.restartCount} restarts`)
      .join('; ');
    if (line !== told) say(line);
    told = line;
    const down = members.every(
      ({ kubelet }) =>
        kubelet.state === 'CrashLoopBackOff' && ((kubelet.backOffUntil ?? 0) - Date.now()) * kubelet.speed >= LEFT_MS,
    );
    if (down) return;
    if (Date.now() > giveUpAt)
      throw new EtcdMedicError(`the back-offs did not come to minutes at the same time: ${line}`);
    await wait(LOOK_EVERY_MS);
  }
}

/**
 * Has the kubelets' clocks go on at another speed. What comes next takes real time (etcd's own, the SDK's waits of
 * whole seconds), so that minutes of back-off must not be seconds any more.
 */
export function changeKubeletSpeed({ members }: ControlPlane, speed: number): void {
  for (const { kubelet } of members) kubelet.changeSpeed(speed);
}

/** When the last of them would have been started by itself, milliseconds since the epoch. */
export function lastBackOffEndsAt({ members }: ControlPlane): number {
  return Math.max(...members.map(({ kubelet }) => kubelet.backOffUntil ?? 0));
}
