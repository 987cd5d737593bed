// Who may do what at the test servers.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubernetesCredentials } from '../../functions/kubernetes/credentials.ts';
import type { ApiServerOptions, Rule, User } from './api-server.ts';

const REPORTS = ['aquasecurity.github.io', 'wgpolicyk8s.io', 'reports.kyverno.io', 'kyverno.io', 'openreports.io'];

/** Of `pruner`, where a test doesn't say. */
const DEFAULT_RULES: readonly Rule[] = [
  { verbs: ['list', 'get', 'delete'], apiGroups: REPORTS, resources: ['*'] },
  { verbs: ['list', 'get'], apiGroups: ['apps', 'batch', ''], resources: ['*'] },
  { verbs: ['get'], apiGroups: ['apiregistration.k8s.io'], resources: ['apiservices'] },
];

/** What every user may do; undefined: everything. */
export function rulesByUser({
  rules = DEFAULT_RULES,
  others = {},
}: Pick<ApiServerOptions, 'rules' | 'others'>): ReadonlyMap<User, readonly Rule[] | undefined> {
  return new Map([['admin', undefined], ['pruner', rules], ['nobody', []], ...Object.entries(others)]);
}

export function tokenOf(user: User): string {
  return `${user}-token`;
}

/** As a client of ours takes them. */
export function credentialsOf(caFile: string, user: User): KubernetesCredentials {
  return { ca: readFileSync(caFile, 'utf8'), token: tokenOf(user) };
}

/** `kubernetes` of a cluster's configuration. */
export function configurationOf(server: string, caFile: string, directory: string, user: User) {
  return { server, credentials: { caFile, tokenFile: tokenFileOf(directory, user) } };
}

/** Undefined for a token that is nobody's. */
export function userOf(token: string, users: ReadonlyMap<User, unknown>): User | undefined {
  return [...users.keys()].find((user) => tokenOf(user) === token);
}

/** `<user>.token` for each. */
export function writeTokenFiles(directory: string, users: Iterable<User>): void {
  for (const user of users) writeFileSync(tokenFileOf(directory, user), `${tokenOf(user)}\n`);
}

function tokenFileOf(directory: string, user: User): string {
  return join(directory, `${user}.token`);
}

export interface Asked {
  readonly verb: string;
  readonly group: string;
  readonly plural: string;
}

/** @param rules undefined: everything */
export function allows(rules: readonly Rule[] | undefined, { verb, group, plural }: Asked): boolean {
  if (rules === undefined) return true;
  const has = (list: readonly string[], value: string) => list.includes('*') || list.includes(value);
  return rules.some(
    ({ verbs, apiGroups, resources }) => has(verbs, verb) && has(apiGroups, group) && has(resources, plural),
  );
}
