// R6: whether the nodes' disks hold the new files of a defragmentation. Changes nothing.

import { formatBytes } from '../contract/report.ts';
import type { NodeInspection } from '../nodes/outputs.ts';
import { type Inspections, inspectNodes, problemWithAgent, withInspections } from './inspections.ts';
import { nodeOf } from './node-match.ts';
import type { Observation, ObservedDisk, ObservedMember, ObservedNode } from './observation.ts';
import type { ReachableRun } from './run-context.ts';

/** R6: looks at the disk of every voter's node, all at once. Where there are no nodes there is nothing to look at. */
export async function inspectDisks(
  recovery: ReachableRun,
  { members, nodes }: Observation,
  nodesProblem: string | undefined,
): Promise<readonly ObservedDisk[] | undefined> {
  const { journal, configuration } = recovery;
  if (nodes === undefined) return undefined;
  if (nodesProblem !== undefined) {
    const problem = `the nodes could not be listed: ${nodesProblem}`;
    journal.note('disk', { outcome: 'failed', detail: problem });
    return members.map(({ id: memberId }) => ({ memberId, problem }));
  }
  const voters = members.filter(({ isLearner }) => !isLearner);
  const matched = voters.map((voter) => nodeOf(voter, nodes).node);
  // Whoever's node is not known may be on any of them, at an address that only the node itself tells.
  const asked = matched.every((node) => node !== undefined) ? nodes.filter((node) => matched.includes(node)) : nodes;
  const inspections = await inspectNodes(recovery, asked);
  const told = withInspections(nodes, inspections.results, configuration);
  const disks = voters.map((voter) => diskOf(voter, told, inspections));
  const words = disks.map((disk, i) => {
    const name = voters[i]?.name;
    return 'problem' in disk ? `${name}: ${disk.problem}` : `${name} ${formatBytes(disk.freeBytes)} free`;
  });
  journal.note('disk', {
    ...inspections.sent,
    outcome: disks.some((disk) => 'problem' in disk) ? 'failed' : 'done',
    detail: words.join('; '),
  });
  return disks;
}

function diskOf(member: ObservedMember, nodes: readonly ObservedNode[], { results, sent }: Inspections): ObservedDisk {
  const { id: memberId } = member;
  const { node, problem: unmatched } = nodeOf(member, nodes);
  if (node === undefined) return { memberId, problem: unmatched };
  if (!node.online)
    return { memberId, problem: `the SSM agent of its node ${node.name} (${node.instanceId}) is offline` };
  const result = results.find(({ instanceId }) => instanceId === node.instanceId);
  if (result === undefined) return { memberId, problem: `its node ${node.name} could not be asked: ${sent.detail}` };
  const { state, output, problem } = result;
  const where = `its node ${node.name} (${node.instanceId})`;
  if (output === undefined) {
    const why = problemWithAgent(node, problem ?? `no answer yet (${state})`);
    return { memberId, problem: `${where} could not be looked at: ${why}` };
  }
  if (output.disk === null) return { memberId, problem: `${where} could not be looked at: ${output.notes.join('; ')}` };
  const elsewhere = notItsDatabase(output);
  if (elsewhere !== undefined) return { memberId, problem: `on ${where} ${elsewhere}` };
  return { memberId, path: `${output.dataDir}/member/snap`, freeBytes: output.disk.freeBytes };
}

/** A disk that etcd's database is not on says nothing. @returns what is wrong with the folder, and which is right */
function notItsDatabase({ dataDir, dbBytes, etcdDataDir }: NodeInspection): string | undefined {
  if (dbBytes !== null && etcdDataDir?.isDataDir !== false) return undefined;
  const found =
    dbBytes === null
      ? `there is no database at ${dataDir}/member/snap/db`
      : `another database than etcd's lies in ${dataDir}`;
  if (etcdDataDir === null) return `${found}: set etcd.dataDir to etcd's --data-dir, as the node has it`;
  const { flag, onNode } = etcdDataDir;
  const says = `etcd's manifest says --data-dir=${flag}${onNode === null || onNode === flag ? '' : `, which is ${onNode} on the node`}`;
  if (onNode === dataDir) return `${found}, though ${says}: is its disk mounted?`;
  return `${found}: ${says}; set etcd.dataDir to ${onNode ?? 'where that is on the node'}`;
}
