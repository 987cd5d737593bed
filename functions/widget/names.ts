// What the page calls workflows and members.
import type { ProbedMember } from '../contract/probe-record.ts';
import { isWorkflow, WORKFLOWS } from '../contract/workflows.ts';
import { cut } from './html.ts';

/** @param reporter a workflow or the probe; perhaps one of a newer version, as it calls itself */
export function nameOf(reporter: string): string {
  if (reporter === 'probe') return 'Probe';
  return isWorkflow(reporter) ? WORKFLOWS[reporter].title : cut(reporter, 20);
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
