// A plane's alarms and state as tests look at them, and alarms raised by hand.
import { setTimeout as wait } from 'node:timers/promises';
import type { Alarm, AlarmType } from '../../functions/contract/alarm.ts';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import { decimalId, hexId, type Reachable, within, withMember } from './client.ts';

/** What a run that changes nothing leaves as it was. */
export interface PlaneState {
  /** The newest that any member has. */
  readonly revision: bigint;
  /** By member name; members that don't answer are left out. */
  readonly dbSizeBytes: Readonly<Record<string, number>>;
  /** Sorted. */
  readonly alarms: readonly Alarm[];
}

export type PutResult =
  | { readonly ok: true; readonly revision: bigint }
  | { readonly ok: false; readonly error: Error };

const CALL_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** The cluster's alarm list (needs a quorum), sorted, from the first member that answers. */
export async function listAlarms(plane: Reachable): Promise<Alarm[]> {
  const { alarms } = await firstAnswer(plane, (client) =>
    client.maintenance.alarm({ action: 'Get' }, within(CALL_TIMEOUT_MS)),
  );
  return alarms
    .map(({ memberID, alarm }) => ({ memberId: hexId(memberID), type: alarmType(alarm) }))
    .sort((a, b) => (`${a.type} ${a.memberId}` < `${b.type} ${b.memberId}` ? -1 : 1));
}

/** Raises CORRUPT for a member, as etcd's own check would. @param memberId hexadecimal */
export async function raiseCorrupt(plane: Reachable, memberId: string): Promise<void> {
  await raise(plane, memberId, 'Corrupt');
}

/** Raises NOSPACE for a member whatever its size. @param memberId hexadecimal */
export async function raiseNospace(plane: Reachable, memberId: string): Promise<void> {
  await raise(plane, memberId, 'Nospace');
}

/**
 * Waits until an alarm of this type is listed, or until each of `memberIds` has one.
 * @returns the alarms then listed
 * @throws EtcdMedicError after `timeoutMs` (30 s)
 */
export async function waitForAlarm(
  plane: Reachable,
  type: AlarmType,
  { memberIds, timeoutMs = 30_000 }: { readonly memberIds?: readonly string[]; readonly timeoutMs?: number } = {},
): Promise<Alarm[]> {
  const giveUpAt = Date.now() + timeoutMs;
  for (;;) {
    const alarms = await listAlarms(plane);
    const raised = alarms.filter((alarm) => alarm.type === type).map(({ memberId }) => memberId);
    if (memberIds ? memberIds.every((id) => raised.includes(id)) : raised.length > 0) return alarms;
    if (Date.now() > giveUpAt) {
      throw new EtcdMedicError(`no ${type} of ${memberIds?.join(', ') ?? 'any member'} within ${timeoutMs} ms`);
    }
    await wait(LOOK_EVERY_MS);
  }
}

/** Writes a small key through one member, and says what came of it. A write that an election drops is sent again. */
export async function putThrough(plane: Pick<Reachable, 'credentials'>, endpoint: string): Promise<PutResult> {
  return withMember(plane, endpoint, async (client) => {
    const key = `/etcd-medic-test/${Date.now()}`;
    const deadline = within(CALL_TIMEOUT_MS);
    for (;;) {
      try {
        const { header } = await client.kv.put({ key: Buffer.from(key), value: Buffer.from('x') }, deadline);
        return { ok: true, revision: BigInt(header.revision) };
      } catch (error) {
        // A slow disk or processor is enough for an election; this is what etcd says while there is none to take the
        // write.
        if (!/proposal dropped|leader changed|no leader/.test(describeError(error)) || Date.now() > deadline.deadline) {
          return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
        }
        await wait(LOOK_EVERY_MS);
      }
    }
  });
}

/** To be compared before and after with toEqual. */
export async function snapshotOfState(plane: Reachable): Promise<PlaneState> {
  const statuses = await Promise.all(
    plane.members.map(({ name, endpoint }) =>
      withMember(plane, endpoint, (client) => client.maintenance.status(within(CALL_TIMEOUT_MS))).then(
        (status) => ({ name, status }),
        // Down, as tests have it; if none answers, listAlarms throws.
        () => undefined,
      ),
    ),
  );
  const answers = statuses.filter((each) => each !== undefined);
  let revision = 0n;
  for (const { status } of answers)
    if (BigInt(status.header.revision) > revision) revision = BigInt(status.header.revision);
  return {
    revision,
    dbSizeBytes: Object.fromEntries(answers.map(({ name, status }) => [name, Number(status.dbSize)])),
    alarms: await listAlarms(plane),
  };
}

async function raise(plane: Reachable, memberId: string, alarm: 'Nospace' | 'Corrupt'): Promise<void> {
  await firstAnswer(plane, (client) =>
    client.maintenance.alarm({ action: 'Activate', memberID: decimalId(memberId), alarm }, within(CALL_TIMEOUT_MS)),
  );
}

async function firstAnswer<Result>(
  plane: Reachable,
  ask: (client: Parameters<Parameters<typeof withMember>[2]>[0]) => Promise<Result>,
): Promise<Result> {
  const giveUpAt = Date.now() + CALL_TIMEOUT_MS;
  for (;;) {
    const problems: string[] = [];
    for (const { name, endpoint } of plane.members) {
      try {
        return await withMember(plane, endpoint, ask);
      } catch (error) {
        problems.push(`${name}: ${describeError(error)}`);
      }
    }
    // During an election all refuse, and at once.
    if (Date.now() > giveUpAt) throw new EtcdMedicError(`no member answers: ${problems.join('; ')}`);
    await wait(LOOK_EVERY_MS);
  }
}

function alarmType(alarm: string): AlarmType {
  const name = alarm.toUpperCase();
  return name === 'NOSPACE' || name === 'CORRUPT' ? name : 'UNKNOWN';
}
