// R11: the nodes whose etcd is silent, as far as what was observed proves it. Pure: no client, no clock.

import { describeNode, nodeOf, onlyNodeAt } from './node-match.ts';
import type { Observation, ObservedNode } from './observation.ts';
import { hostOf } from './observe.ts';

export interface SilentNodes {
  readonly nodes: readonly ObservedNode[];
  /** A sentence for each silence that can't be laid to one node: none of them is restarted for it. */
  readonly unknown: readonly string[];
}

export function silentNodes(observation: Pick<Observation, 'members' | 'nodes' | 'nobody'>): SilentNodes {
  return observation.nobody === undefined ? bySilentMembers(observation) : whereNobodyAnswers(observation);
}

function bySilentMembers({ members, nodes = [] }: Pick<Observation, 'members' | 'nodes'>): SilentNodes {
  const found = new Set<ObservedNode>();
  const unknown: string[] = [];
  for (const member of members.filter(({ silent, busy }) => silent && busy !== true)) {
    const { node, problem } = nodeOf(member, nodes);
    const name = member.name || member.id;
    if (node === undefined) {
      unknown.push(`${name} is silent, and ${problem}`);
      continue;
    }
    const other = members.find((each) => !each.silent && nodeOf(each, nodes).node === node);
    if (other === undefined) found.add(node);
    else
      unknown.push(`${name} is silent, but ${other.name || other.id} answers on what would be its node, ${node.name}`);
  }
  return { nodes: [...found], unknown };
}

/**
 * Nobody tells who there should be, so each node has to have said where its etcd is, and all of that has to be silent.
 */
function whereNobodyAnswers({ nodes = [], nobody }: Pick<Observation, 'nodes' | 'nobody'>): SilentNodes {
  const silent = nobody?.silentHosts ?? [];
  const found: ObservedNode[] = [];
  const unknown: string[] = [];
  for (const node of nodes) {
    if (!node.online) {
      // Nothing is done to it: it is only named.
      if (silent.some((host) => onlyNodeAt(host, nodes) === node)) found.push(node);
      continue;
    }
    const own = (node.etcdUrls ?? []).map(hostOf).filter((host) => onlyNodeAt(host, nodes) === node);
    if (own.length === 0) unknown.push(`${describeNode(node)} does not tell where its etcd is`);
    else if (own.every((host) => silent.includes(host))) found.push(node);
    else unknown.push(`${describeNode(node)} is not silent at all of ${own.join(', ')}`);
  }
  const nowhere = silent.filter((host) => onlyNodeAt(host, nodes) === undefined);
  if (nowhere.length > 0) unknown.push(`${nowhere.join(', ')} ${nowhere.length === 1 ? 'is' : 'are'} no one node's`);
  return { nodes: found, unknown };
}
