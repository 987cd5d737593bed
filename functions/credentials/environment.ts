// What the function is told at deployment: its cluster, and which certificates it issues by which authority.
import * as z from 'zod/mini';
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { SetupError } from '../contract/errors.ts';
import { type AuthorityFiles, authoritySchema, PURPOSES, type Purpose } from '../contract/purposes.ts';
import { validate } from '../contract/validate.ts';
import { type Environment, requiredJson } from '../contract/variables.ts';

/** One certificate that is issued, and the secret that it is kept in. */
export interface Issuance {
  readonly purpose: Purpose;
  readonly secretArn: string;
  readonly authority: AuthorityFiles;
}

export interface CredentialsEnvironment {
  readonly configuration: ClusterConfiguration;
  readonly issuances: readonly Issuance[];
}

const issuedSchema = z.strictObject({
  etcd: z.optional(authoritySchema),
  kubernetes: z.optional(authoritySchema),
});

/**
 * @param env `ETCD_MEDIC_CLUSTER`: the cluster's configuration as JSON, with the secrets that the stack made for what
 *   is issued; `ETCD_MEDIC_ISSUED`: the authority's files by purpose, as JSON
 * @throws SetupError where a variable is missing, or what is to be issued has no secret
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function readEnvironment(env: Environment): CredentialsEnvironment {
  const configuration = parseCluster(requiredJson(env, 'ETCD_MEDIC_CLUSTER'), 'ETCD_MEDIC_CLUSTER');
  const issued = validate(issuedSchema, requiredJson(env, 'ETCD_MEDIC_ISSUED'), 'ETCD_MEDIC_ISSUED');
  const issuances = PURPOSES.flatMap((purpose): Issuance[] => {
    const authority = issued[purpose];
    if (authority === undefined) return [];
    const credentials = configuration[purpose]?.credentials;
    if (credentials && 'secretArn' in credentials) return [{ purpose, secretArn: credentials.secretArn, authority }];
    throw new SetupError(`${purpose}.credentials: found no secretArn, expected the secret that the stack made for it`);
  });
  return { configuration, issuances };
}
