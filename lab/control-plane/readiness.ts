// Waits until a member that was just started answers, and says why where it doesn't.
import { open, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { Etcd3 } from 'etcd3';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import type { CredentialFiles } from './certificates.ts';
import { hexId, within, withMember } from './client.ts';
import type { PlaneMember } from './member.ts';

/** A member did not come up; the message has the end of its log. */
export class MemberStartError extends EtcdMedicError {
  override readonly name: string = 'MemberStartError';
}

/** Somebody took a member's port between choosing and using it. */
export class PortTakenError extends MemberStartError {
  override readonly name = 'PortTakenError';
}

/** Generous: five members on a machine with other work to do need to elect a leader between them. */
const START_TIMEOUT_MS = 90_000;
const LOOK_EVERY_MS = 50;
const CALL_TIMEOUT_MS = 3_000;
const LOG_TAIL_BYTES = 64 * 1024;

/**
 * Waits until the member answers a linearizable read (a learner, or a member after CORRUPT: a status), and notes its
 * id.
 * @throws MemberStartError, PortTakenError; at once where the member is stopped
 */
export async function untilReady(credentials: CredentialFiles | undefined, member: PlaneMember): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  await withMember({ credentials }, member.endpoint, async (client) => {
    for (;;) {
      try {
        member.id = await answer(client, member.isLearner);
        return;
      } catch (error) {
        // A member that ran before is started again by its kubelet; one that never did has a wrong flag or no port.
        const neverRan = member.id === '' && member.kubelet.lastExit !== undefined;
        const isStopped = member.kubelet.state === 'Stopped';
        if (neverRan || isStopped || Date.now() > giveUpAt) throw await startError(member, error);
        await wait(LOOK_EVERY_MS);
      }
    }
  });
}

async function answer(client: Etcd3, isLearner: boolean): Promise<string> {
  const status = await client.maintenance.status(within(CALL_TIMEOUT_MS));
  if (!isLearner && !status.errors.some((error) => error.includes('alarm:CORRUPT'))) {
    await client.kv.range({ key: Buffer.from('/') }, within(CALL_TIMEOUT_MS));
  }
  return hexId(status.header.member_id);
}

async function startError(member: PlaneMember, cause: unknown): Promise<MemberStartError> {
  const words = await lastWords(member.logFile);
  const exit = member.kubelet.lastExit;
  if (words.includes('address already in use')) {
    return new PortTakenError(`${member.name}: a port of it was taken meanwhile: ${words}`, { cause });
  }
  const what = exit
    ? (exit.error?.message ?? `ended with ${exit.signal ?? `code ${exit.code}`}`)
    : `does not answer (${describeError(cause)})`;
  return new MemberStartError(`${member.name} ${what}; its log ends: ${words}`, { cause });
}

/**
 * Of a log's end, what is not JSON (a wrong flag, a panic), or else its lines above `info`, or else whatever is last.
 */
async function lastWords(logFile: string): Promise<string> {
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  if (size === 0) return '(empty)';
  await using file = await open(logFile);
  const length = Math.min(size, LOG_TAIL_BYTES);
  const { buffer } = await file.read({ buffer: Buffer.alloc(length), position: size - length });
  const lines = buffer.toString('utf8').split('\n').filter(Boolean);
  if (length < size) lines.shift();
  const plain = lines.filter((line) => !line.startsWith('{')).slice(0, 2);
  const grave = lines.filter((line) => line.startsWith('{') && !/"level":"(info|debug)"/.test(line)).slice(-3);
  const words = [...plain, ...grave];
  return (words.length > 0 ? words : lines.slice(-3)).join(' | ');
}
