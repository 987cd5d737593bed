// Watches a run on a plane and says afterwards which rules it broke, from etcd's own logs and sizes, not from our
// reports.
import { readFile } from 'node:fs/promises';
import { within, withMember } from './client.ts';
import type { KubeletEvent } from './kubelet.ts';
import type { PlaneMember } from './member.ts';
import { readMemberLog } from './member-log.ts';
import type { Cut } from './network.ts';
import type { ControlPlane } from './plane.ts';
import { findViolations } from './rules.ts';
import type { Span, WatchedMember } from './watched-run.ts';

const STATUS_TIMEOUT_MS = 5_000;

export interface RuleWatch {
  /** Of everything since the watch began; one watch is for one run. A sentence each, opening with the rule. */
  violations(): Promise<readonly string[]>;
}

interface WatchOptions {
  /** Of maintenance, see WatchedRun. A recovery always moves the leadership first. @default 0 */
  readonly leaderStallMs?: number;
  /** Where the run's snapshots are to be. @default none is to be taken */
  readonly snapshots?: { readonly objects: readonly { readonly storedAt: Date }[] };
}

/** To be called before a run. */
export function watchRules(plane: ControlPlane, { leaderStallMs = 0, snapshots }: WatchOptions = {}): RuleWatch {
  const from = Date.now();
  return {
    violations: async () => {
      const voters = plane.members.filter(({ isLearner }) => !isLearner);
      const members = await Promise.all(voters.map((member) => watched(plane, member)));
      const copies = snapshots?.objects.map(({ storedAt }) => storedAt.getTime());
      return findViolations({ from, leaderStallMs, copies, members });
    },
  };
}

async function watched(plane: ControlPlane, member: PlaneMember): Promise<WatchedMember> {
  const { name, quotaBytes, logFile, kubelet } = member;
  const log = readMemberLog(await readFile(logFile, 'utf8'));
  return {
    name,
    quotaBytes,
    log,
    absences: [...absences(kubelet.events, log.serving), ...cuts(name, plane.cuts)],
    kubeletRestarts: kubelet.events.filter(({ event }) => event === 'KubeletRestarted').map(({ at }) => at),
    dbSize: await dbSize(plane, member),
  };
}

/**
 * When a member's process had ended or was stopped: until it serves again, or is let go on.
 * @param serving when it began to serve, in milliseconds since the epoch
 */
export function absences(events: readonly KubeletEvent[], serving: readonly number[]): readonly Span[] {
  return events.flatMap(({ at, event, detail }) => {
    if (event === 'Exited')
      return [{ from: at, until: serving.find((since) => since >= at) ?? Number.POSITIVE_INFINITY }];
    if (event !== 'Signalled' || detail !== 'SIGSTOP') return [];
    const end = events.find((later) => later.at >= at && (later.detail === 'SIGCONT' || later.event === 'Exited'));
    return [{ from: at, until: end?.at ?? Number.POSITIVE_INFINITY }];
  });
}

function cuts(name: string, all: readonly Cut[]): Span[] {
  return all.filter((cut) => cut.name === name).map(({ from, until = Number.POSITIVE_INFINITY }) => ({ from, until }));
}

async function dbSize(plane: ControlPlane, { endpoint }: PlaneMember): Promise<number | undefined> {
  try {
    const status = await withMember(plane, endpoint, (client) => client.maintenance.status(within(STATUS_TIMEOUT_MS)));
    return Number(status.dbSize);
  } catch {
    // Down or cut off, as a test may have left it: its log has to do.
    return undefined;
  }
}
