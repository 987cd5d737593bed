// Tries credentials where they are meant for, changing nothing: does etcd, does the API server take them?

import type { ClusterConfiguration } from '../contract/configuration.ts';
import { SetupError } from '../contract/errors.ts';
import { KNOWN_KINDS } from '../contract/kinds.ts';
import type { Purpose } from '../contract/purposes.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { openKubernetes } from '../kubernetes/client.ts';
import {
  ApiUnavailableError,
  ForbiddenError,
  NotServedError,
  StorageReadError,
  ThrottledError,
  UnauthorizedError,
} from '../kubernetes/errors.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { CredentialsRefusedError, CredentialsUntestedError } from './errors.ts';
import { tryEtcd } from './try-etcd.ts';

/** An API server that was restarted is back after about as long; Secrets Manager tries again later. */
const PATIENCE_MS = 15_000;

/** Node's codes for what is wrong with the server's own certificate, which says nothing about its clients'. */
const SERVERS_OWN = /\bCERT_HAS_EXPIRED\b|\bCERT_NOT_YET_VALID\b|\bERR_TLS_CERT_ALTNAME_INVALID\b/;

/**
 * @returns what was seen, in one sentence
 * @throws CredentialsRefusedError where somebody was asked and did not take them
 * @throws CredentialsUntestedError where nobody could be asked, or RBAC is not set up yet
 * @throws SetupError, NodesUnreadableError, InvalidInputError, DifferentClustersError where it is not known whom to ask
 */
export async function tryOut(
  purpose: Purpose,
  configuration: ClusterConfiguration,
  credentials: TlsMaterial,
): Promise<string> {
  return purpose === 'etcd' ? tryEtcd(configuration, credentials) : tryApiServer(configuration, credentials);
}

/** A list of one report of one kind, which is what pruning begins with. */
async function tryApiServer({ kubernetes }: ClusterConfiguration, credentials: TlsMaterial): Promise<string> {
  if (kubernetes === undefined)
    throw new SetupError('kubernetes: found nothing, expected the API server to try them at');
  try {
    await using client = openKubernetes({ server: kubernetes.server, credentials, patienceMs: PATIENCE_MS });
    return await listOne(client);
  } catch (error) {
    const isServersOwn = error instanceof SetupError && SERVERS_OWN.test(error.message);
    if (error instanceof UnauthorizedError || (error instanceof SetupError && !isServersOwn)) {
      throw new CredentialsRefusedError('the API server does not take the new credentials', { cause: error });
    }
    if (isServersOwn || error instanceof ApiUnavailableError || error instanceof ThrottledError) {
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
      if (error instanceof StorageReadError)
        return `the API server let them list ${name}, though it can't read all of it`;
      if (!(error instanceof ForbiddenError)) throw error;
      forbidden ??= error;
    }
  }
  throw new CredentialsUntestedError(
    'the API server knows the new credentials and lets them list no kind of report: kubectl apply -f docs/rbac.yaml first',
    { cause: forbidden },
  );
}
