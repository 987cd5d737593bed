// Writes a small key again and again through every member in turn, as the API server would, and notes for how long it
// is refused.
import { setTimeout as wait } from 'node:timers/promises';
import { putThrough } from '../../lab/control-plane/alarms.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';

const EVERY_MS = 100;

export interface WriteWatch extends AsyncDisposable {
  /** Resolves with the first write that is refused. */
  readonly refused: Promise<void>;
  /** From the first refused write to the first accepted one after it; undefined while it is still refused. */
  refusedMs(): number | undefined;
}

export function watchWrites(plane: ControlPlane): WriteWatch {
  const { promise: refused, resolve } = Promise.withResolvers<void>();
  let refusedAt: number | undefined;
  let acceptedAt: number | undefined;
  let ended = false;
  const writing = (async () => {
    for (let turn = 0; !ended && acceptedAt === undefined; turn++) {
      const member = plane.members[turn % plane.members.length];
      if (member === undefined) break;
      const { ok } = await putThrough(plane, member.endpoint);
      if (!ok) {
        refusedAt ??= Date.now();
        resolve();
      } else if (refusedAt !== undefined) acceptedAt = Date.now();
      await wait(EVERY_MS);
    }
  })();
  return {
    refused,
    refusedMs: () => (refusedAt === undefined || acceptedAt === undefined ? undefined : acceptedAt - refusedAt),
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await writing;
    },
  };
}
