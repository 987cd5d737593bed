// Who may do what at the test servers.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

/** Undefined for a token that is nobody's. */
export function userOf(token: string, users: ReadonlyMap<User, unknown>): User | undefined {
  return [...users.keys()].find((user) => tokenOf(user) === token);
}

/** `<user>.token` for each. */
export function writeTokenFiles(directory: string, users: Iterable<User>): void {
  for (const user of users) writeFileSync(join(directory, `${user}.token`), `${tokenOf(user)}\n`);
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
