// Tries credentials where they are meant for, changing nothing: does etcd, does the API server take them?
import { discoverMembers } from '../etcd/discovery.ts';
import { EtcdTlsError, NoMemberAnsweredError } from '../etcd/errors.ts';
import type { TlsMaterial } from '../etcd/types.ts';
import { openKubernetes } from '../kubernetes/client.ts';
import {
  ApiUnavailableError,
  ForbiddenError,
  NotServedError,
  ThrottledError,
  UnauthorizedError,
} from '../kubernetes/errors.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { findNodes } from '../nodes/inventory.ts';
import { KNOWN_KINDS } from '../prune/kinds.ts';
import { endpointsOf } from '../recover/nodes.ts';
import type { ClusterConfiguration } from '../run/configuration.ts';
import { describeError, InvalidInputError, SetupError } from '../run/errors.ts';
import { CredentialsRefusedError, CredentialsUntestedError } from './errors.ts';
import type { Purpose } from './purposes.ts';

/** An API server that was restarted is back after about as long; Secrets Manager tries again later. */
const PATIENCE_MS = 15_000;

/**
 * @returns what was seen, in one sentence
 * @throws CredentialsRefusedError where somebody answered and did not take them
 * @throws CredentialsUntestedError where nobody answered, or RBAC is not set up yet
 * @throws SetupError, NodesUnreadableError where it is not known whom to ask
 */
export async function tryOut(
  purpose: Purpose,
  configuration: ClusterConfiguration,
  credentials: TlsMaterial,
): Promise<string> {
  return purpose === 'etcd' ? tryEtcd(configuration, credentials) : tryApiServer(configuration, credentials);
}

/** Every member that answers has to take them: a run talks to each. Members that are away are no reason to wait. */
async function tryEtcd(configuration: ClusterConfiguration, tls: TlsMaterial): Promise<string> {
  const endpoints = await findEndpoints(configuration);
  try {
    await using cluster = await discoverMembers({ endpoints, tls });
    const refusals = cluster.members.flatMap(({ name, id, problem, silent }) =>
      problem === undefined || silent ? [] : [`member ${name || id}: ${problem}`],
    );
    const reached = cluster.members.flatMap(({ id }) => cluster.client(id) ?? []);
    const reads = await Promise.allSettled(reached.map((member) => member.checkHealth()));
    for (const read of reads) {
      // No leader, NOSPACE or no answer is etcd's trouble and none of the certificate's.
      if (read.status === 'rejected' && read.reason instanceof EtcdTlsError) refusals.push(describeError(read.reason));
    }
    if (refusals.length > 0)
      throw new CredentialsRefusedError(`etcd does not take the new credentials: ${refusals.join('; ')}`);
    const healthy = reads.filter(({ status }) => status === 'fulfilled').length;
    return `${reached.length} of ${cluster.members.length} members took them, ${healthy} of those with a linearizable read`;
  } catch (error) {
    if (error instanceof InvalidInputError) {
      throw new CredentialsRefusedError('the new credentials are no use', { cause: error });
    }
    if (!(error instanceof NoMemberAnsweredError)) throw error;
    // An answer that is of no use is one: TLS that does not come about, for the most part.
    const refused = error.problems.some(({ silent }) => !silent);
    throw refused
      ? new CredentialsRefusedError('etcd does not take the new credentials', { cause: error })
      : new CredentialsUntestedError('etcd could not be asked about the new credentials', { cause: error });
  }
}

async function findEndpoints(configuration: ClusterConfiguration): Promise<readonly string[]> {
  const { etcd, nodes } = configuration;
  if (etcd.endpoints !== undefined || nodes === undefined) return endpointsOf(configuration);
  const found = await findNodes({ tag: nodes.tag });
  const places = found.flatMap(({ instanceId, name, ipAddress, pingStatus }) =>
    ipAddress === undefined ? [] : [{ instanceId, name, ipAddress, online: pingStatus === 'Online' }],
  );
  return endpointsOf(configuration, places);
}

/** A list of one report of one kind, which is what pruning begins with. */
async function tryApiServer({ kubernetes }: ClusterConfiguration, credentials: TlsMaterial): Promise<string> {
  if (kubernetes === undefined)
    throw new SetupError('kubernetes: found nothing, expected the API server to try them at');
  try {
    await using client = openKubernetes({ server: kubernetes.server, credentials, patienceMs: PATIENCE_MS });
    return await listOne(client);
  } catch (error) {
    if (error instanceof UnauthorizedError || error instanceof SetupError) {
      throw new CredentialsRefusedError('the API server does not take the new credentials', { cause: error });
    }
    if (error instanceof ApiUnavailableError || error instanceof ThrottledError) {
      throw new CredentialsUntestedError('the API server could not be asked about the new credentials', {
        cause: error,
      });
    }
    throw error;
  }
}

/** Somebody may have left kinds out of the role that they don't have. */
async function listOne(client: KubernetesClient): Promise<string> {
  let forbidden: unknown;
  for (const { name, group, plural, versions } of KNOWN_KINDS) {
    const [version = ''] = versions;
    try {
      await client.listPage({ group, version, plural }, { limit: 1 });
      return `the API server let them list ${name}`;
    } catch (error) {
      // A cluster that does not have a kind says so only to those who may list it.
      if (error instanceof NotServedError)
        return `the API server let them ask for ${name}, which the cluster does not have`;
      if (!(error instanceof ForbiddenError)) throw error;
      forbidden ??= error;
    }
  }
  throw new CredentialsUntestedError(
    'the API server knows the new credentials and lets them list no kind of report: kubectl apply -f docs/rbac.yaml first',
    { cause: forbidden },
  );
}
