// Tries a client certificate at etcd, changing nothing: does every member that can be asked take it?

import type { ClusterConfiguration } from '../contract/configuration.ts';
import { describeError, InvalidInputError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { checkTlsMaterial } from '../contract/tls-material.ts';
import { endpointsOf, observedNodes } from '../control-plane/nodes.ts';
import { discoverMembers, type EtcdCluster } from '../etcd/discovery.ts';
import { NoMemberAnsweredError } from '../etcd/errors.ts';
import type { MemberClient } from '../etcd/types.ts';
import { findNodes } from '../nodes/inventory.ts';
import { CredentialsRefusedError, CredentialsUntestedError } from './errors.ts';

/**
 * What a TLS server says of its client's certificate, by the alerts' names in RFC 8446, or etcd's own authorization of
 * its user. Any other problem is the member's own: a certificate of its own that has expired, no quorum, something else
 * at that address.
 */
const REFUSAL =
  /\balert (?:unknown ca|bad certificate|unsupported certificate|certificate (?:revoked|expired|unknown|required)|decrypt error|access denied)\b|etcd's authorization refused it/i;

/**
 * Of one member it may be the member's own mistake. Where all say so, the authorities beside the certificate are the
 * wrong ones.
 */
const STRANGER = /the server's certificate is not signed by the given CA/;

/**
 * @returns what was seen, in one sentence; it names the members that could not be asked
 * @throws CredentialsRefusedError where a member refused the certificate, or not one server is of the authorities that
 *   came with it
 * @throws CredentialsUntestedError where no member could be asked
 * @throws NodesUnreadableError, InvalidInputError, DifferentClustersError where it is not known whom to ask
 */
export async function tryEtcd(configuration: ClusterConfiguration, tls: TlsMaterial): Promise<string> {
  assertUsable(tls);
  const endpoints = await findEndpoints(configuration);
  try {
    await using cluster = await discoverMembers({ endpoints, tls });
    return await askMembers(cluster);
  } catch (error) {
    if (!(error instanceof NoMemberAnsweredError)) throw error;
    const refused = error.problems.some(({ problem }) => REFUSAL.test(problem) || STRANGER.test(problem));
    throw refused
      ? new CredentialsRefusedError('etcd does not take the new credentials', { cause: error })
      : new CredentialsUntestedError('etcd could not be asked about the new credentials', { cause: error });
  }
}

function assertUsable(tls: TlsMaterial): void {
  try {
    checkTlsMaterial(tls, new Date(), 'the new credentials');
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause;
    throw new CredentialsRefusedError('nobody can use the new credentials', { cause });
  }
}

/**
 * Every member that can be asked has to take them: a run talks to each. The others are named, and no reason to wait.
 */
async function askMembers(cluster: EtcdCluster): Promise<string> {
  const others = cluster.members.flatMap(({ name, id, problem }) =>
    problem === undefined ? [] : [`member ${name || id}: ${problem}`],
  );
  const elsewhere = cluster.endpointProblems.map(({ problem }) => problem);
  const reached = cluster.members.flatMap(({ id }) => cluster.client(id) ?? []);
  const denials = (await Promise.all(reached.map(denialOf))).filter((denial) => denial !== undefined);
  const refusals = [...[...others, ...elsewhere].filter((problem) => REFUSAL.test(problem)), ...denials];
  if (refusals.length > 0) {
    throw new CredentialsRefusedError(`etcd does not take the new credentials: ${refusals.join('; ')}`);
  }
  // No leader, NOSPACE or no answer is etcd's trouble and none of the certificate's.
  const healths = await Promise.allSettled(reached.map((member) => member.checkHealth()));
  const healthy = healths.filter(({ status }) => status === 'fulfilled').length;
  return [
    `${reached.length} of ${cluster.members.length} members took them, ${healthy} of those with a linearizable read`,
    ...others.map((other) => `not asked: ${other}`),
  ].join('; ');
}

/** etcd tells who it is to everybody whose certificate it takes; only a read shows whether its user may do anything. */
async function denialOf(member: MemberClient): Promise<string | undefined> {
  try {
    await member.checkServing();
    return undefined;
  } catch (error) {
    const problem = describeError(error);
    return REFUSAL.test(problem) ? problem : undefined;
  }
}

async function findEndpoints(configuration: ClusterConfiguration): Promise<readonly string[]> {
  const { etcd, nodes } = configuration;
  if (etcd.endpoints !== undefined || nodes === undefined) return endpointsOf(configuration);
  const places = observedNodes(await findNodes({ tag: nodes.tag }));
  return endpointsOf(configuration, places);
}
