// One look at every member, side by side: what each one is, or why it does not answer. It ends in time whatever hangs.

import type { ClusterConfiguration } from '../contract/configuration.ts';
import { describeError, EtcdMedicError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import type { Observation } from '../control-plane/observation.ts';
import { observe } from '../control-plane/observe.ts';
import { discoverMembers, type EtcdCluster } from '../etcd/discovery.ts';
import { NoMemberAnsweredError } from '../etcd/errors.ts';
import { CHEAP_RIGHTS, tryRights } from '../etcd/rights.ts';
import type { Deadlines } from '../etcd/types.ts';
import type { Known } from './last-known.ts';
import type { ProbeMemory } from './sources.ts';

/** What the look came to. Sizes in bytes. */
export type Look = {
  /** Of the members, as far as they were found out; undefined: not even where to look for them. */
  readonly endpoints: readonly string[] | undefined;
  /** What was remembered, because it could not be read again: one sentence each. */
  readonly remembered: readonly string[];
} & (
  | {
      readonly kind: 'seen';
      readonly observation: Observation;
      /**
       * What etcd's authorization refuses, so that a run would be refused: a sentence each, as far as can be told at
       * once.
       */
      readonly refusedRights: readonly string[];
    }
  /** Nothing answers at any endpoint. */
  | { readonly kind: 'nobody'; readonly problem: string }
  /**
   * The probe itself can't look: no credentials, ones that nobody accepts, or endpoints that are not this cluster's.
   */
  | { readonly kind: 'blind'; readonly problem: string }
);

/** All of a look. What has not answered by then is away. */
export const LOOK_DEADLINE_MS = 8_000;

/** What hangs holds up the search for so long: a given endpoint, and after it a member's own URL. */
const ADDRESS_MS = 2_500;
/** The whole search, so that who was found has the rest for its answers. */
const SEARCH_MS = 5_000;

const DEADLINES: Partial<Deadlines> = {
  statusMs: ADDRESS_MS,
  // Without a quorum neither is ever answered; where it takes longer, kube-apiserver's /readyz has given up on etcd
  // before, after 2 s.
  healthMs: 3_000,
  alarmMs: 3_000,
};

/** A member has not answered all questions when the time of the probe was up. */
class LookDeadlineError extends EtcdMedicError {
  override readonly name = 'LookDeadlineError';
}

/**
 * Reads where the members are and the client certificate (at most PATIENCE_MS of sources.ts), finds the members
 * (SEARCH_MS at most), and asks each for what it is. Opens its connections and closes them: one that was kept while
 * Lambda froze the process may be dead.
 * @returns whatever happens
 */
export async function look(
  configuration: ClusterConfiguration,
  memory: ProbeMemory,
  deadlineMs = LOOK_DEADLINE_MS,
): Promise<Look> {
  const giveUp = new AbortController();
  const timer = setTimeout(
    () => giveUp.abort(new LookDeadlineError(`no answer within the ${deadlineMs / 1000} s that a probe has`)),
    deadlineMs,
  );
  try {
    const [endpoints, tls] = await Promise.allSettled([memory.endpoints(configuration), memory.tls(configuration)]);
    const remembered = [endpoints, tls].flatMap((each) =>
      each.status === 'fulfilled' && each.value.problem !== undefined ? [each.value.problem] : [],
    );
    const found = { endpoints: endpoints.status === 'fulfilled' ? endpoints.value.value : undefined, remembered };
    const failed = [endpoints, tls].flatMap((each) => (each.status === 'rejected' ? [describeError(each.reason)] : []));
    if (endpoints.status === 'rejected' || tls.status === 'rejected') {
      return { ...found, kind: 'blind', problem: failed.join('; ') };
    }
    return { ...found, ...(await ask(configuration, endpoints.value, tls.value, giveUp.signal)) };
  } finally {
    clearTimeout(timer);
  }
}

type Answers =
  | { readonly kind: 'seen'; readonly observation: Observation; readonly refusedRights: readonly string[] }
  | { readonly kind: 'nobody' | 'blind'; readonly problem: string };

async function ask(
  { etcd }: ClusterConfiguration,
  { value: endpoints }: Known<readonly string[]>,
  { value: tls }: Known<TlsMaterial | undefined>,
  giveUp: AbortSignal,
): Promise<Answers> {
  let cluster: EtcdCluster;
  try {
    const search = AbortSignal.any([giveUp, AbortSignal.timeout(SEARCH_MS)]);
    cluster = await discoverMembers({ endpoints, ...(tls && { tls }), deadlines: DEADLINES, giveUp: search });
  } catch (error) {
    // Silence is the members' trouble. An answer that is of no use (TLS refused, not etcd) is trouble with the set-up.
    const silent = error instanceof NoMemberAnsweredError && error.problems.every((each) => each.silent);
    return { kind: silent ? 'nobody' : 'blind', problem: describeError(error) };
  }
  await using _closedAtTheEnd = cluster;
  const [observation, refusedRights] = await Promise.all([
    observe(cluster, etcd.quotaBytes, giveUp),
    refusedBy(cluster),
  ]);
  return { kind: 'seen', observation, refusedRights };
}

/** Only those that a member answers by itself: a probe every minute leaves nothing in the cluster's log. */
async function refusedBy(cluster: EtcdCluster): Promise<readonly string[]> {
  const voters = cluster.members.filter(({ isLearner }) => !isLearner);
  const rights = voters.map(async ({ id, name }) => {
    const client = cluster.client(id);
    const { refused } = client ? await tryRights(client, CHEAP_RIGHTS) : { refused: [] };
    return refused.map((text) => `${name || id}: ${text}`);
  });
  return (await Promise.all(rights)).flat();
}
