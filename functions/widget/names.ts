// What the page calls workflows and members.
import type { ProbedMember } from '../contract/probe-record.ts';
import { cut } from './html.ts';

const WORKFLOWS: ReadonlyMap<string, string> = new Map([
  ['recover', 'Recovery'],
  ['maintain', 'Maintenance'],
  ['prune', 'Pruning'],
  ['probe', 'Probe'],
]);

export function nameOf(workflow: string): string {
  return WORKFLOWS.get(workflow) ?? cut(workflow, 20);
}

/**
 * Without the domain that all of them share, where they are still told apart without it; one without a name by its id.
 */
export function withShortNames(members: readonly ProbedMember[]): readonly ProbedMember[] {
  const named = members.map((member) => ({ ...member, name: member.name || member.id }));
  const hosts = named.map(({ name }) => name.replace(/\..*$/, ''));
  const domains = new Set(named.map(({ name }, index) => name.slice(hosts[index]?.length)));
  const isShortEnough = domains.size === 1 && new Set(hosts).size === hosts.length && !hosts.includes('');
  return isShortEnough ? named.map((member, index) => ({ ...member, name: hosts[index] ?? member.name })) : named;
}
