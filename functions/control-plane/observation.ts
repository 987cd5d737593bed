// What was seen of a cluster, as plain data: members, nodes, disks, alarms. Made by observe, judged by each workflow's
// decide.

import type { Alarm } from '../contract/alarm.ts';
import { formatBytes } from '../contract/report.ts';
import { flawInWords, hasFlaw } from '../contract/versions.ts';

/** A quota as it was read, or why it could not be. */
export type ObservedQuota =
  | { readonly kind: 'limit'; readonly bytes: number; readonly source: 'status' | 'metrics' | 'configuration' }
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown'; readonly problem: string };

/** One member as it answered, or why it did not. Sizes in bytes. */
export interface ObservedMember {
  readonly id: string;
  readonly name: string;
  readonly endpoint: string;
  /** Where it answered, and the hosts in its client URLs: it may advertise names that its node is not known by. */
  readonly hosts: readonly string[];
  readonly isLearner: boolean;
  readonly isLeader: boolean;
  /** Answered a linearizable read. Learners can't, so for them: answered Status. */
  readonly healthy: boolean;
  /** Nothing answers at any of its client URLs. A TLS error, or Status without a quorum, is an answer. */
  readonly silent: boolean;
  /** Its addresses lead to other members as well, so nobody can choose it (R19): nothing is known of its health. */
  readonly shared?: boolean | undefined;
  /** It is there, and reads of it wait: it is being defragmented, or its disk does not keep up. To be waited for. */
  readonly busy?: boolean | undefined;
  readonly problem?: string | undefined;
  readonly version?: string | undefined;
  /** R17: it serves on while it is defragmented, by a feature gate of newer versions. */
  readonly defragmentsBeside?: boolean | undefined;
  readonly dbSize?: number | undefined;
  readonly dbSizeInUse?: number | undefined;
  readonly quota: ObservedQuota;
}

/** A control-plane node as Systems Manager knows it, and what it has told of itself where it was asked. */
export interface ObservedNode {
  readonly instanceId: string;
  readonly name: string;
  /** Of one interface of several, by the agent's own choice. Undefined: the agent never said. */
  readonly ipAddress: string | undefined;
  /** Its agent can be sent commands. */
  readonly online: boolean;
  readonly agentVersion?: string | undefined;
  /** Of all its interfaces. Undefined: it was not asked, or did not tell. */
  readonly addresses?: readonly string[] | undefined;
  /** Client URLs at which its etcd is, as far as the node can tell. Undefined: it was not asked, or did not tell. */
  readonly etcdUrls?: readonly string[] | undefined;
}

/** What a run's one try to restart kubelets came to (R11), by the nodes' names. */
export interface KubeletRestarts {
  readonly restarted: readonly string[];
  /** It is not known whether they were. */
  readonly perhaps: readonly string[];
  /** A sentence each for the others. */
  readonly problems: readonly string[];
}

/** Room for a member's new file on its node's disk, or why that could not be found out. Bytes. */
export type ObservedDisk =
  | { readonly memberId: string; readonly path: string; readonly freeBytes: number }
  | { readonly memberId: string; readonly problem: string };

export interface Observation {
  readonly clusterId: string;
  /** Empty where no member answers: then nobody tells who there should be. */
  readonly members: readonly ObservedMember[];
  /** Where no member answers: the hosts that are silent, and what was tried. */
  readonly nobody?: { readonly silentHosts: readonly string[]; readonly problem: string } | undefined;
  /** Undefined: no nodes are configured. */
  readonly nodes?: readonly ObservedNode[] | undefined;
  /** Undefined: not looked at yet, or no nodes are configured. */
  readonly disks?: readonly ObservedDisk[] | undefined;
  /** The kubelets of what was silent were to be restarted in this run: not again, whatever came of it. */
  readonly kubelets?: KubeletRestarts | undefined;
  /** The cluster's list and every member's own view of it, put together: what only one member knows counts too. */
  readonly alarms: readonly Alarm[];
  /** The newest revision that any member has, as a decimal string. */
  readonly revision: string;
  /** The newest entry of raft's log that any member has, as a decimal string. */
  readonly raftIndex?: string | undefined;
  /** How fast entries come to raft's log. Undefined: nobody has counted them. */
  readonly entriesPerSecond?: number | undefined;
}

/** R6: why the member's disk cannot be seen to hold its new file; undefined where it can. */
export function diskProblem(voter: ObservedMember, disks: readonly ObservedDisk[]): string | undefined {
  const disk = disks.find(({ memberId }) => memberId === voter.id);
  const needed = diskNeededBytes(voter);
  if (disk === undefined) return 'its node is not among those with the tag';
  if ('problem' in disk) return disk.problem;
  if (disk.freeBytes >= needed) return undefined;
  const found = `${needed} bytes (${formatBytes(needed)}) are needed under ${disk.path}, ${disk.freeBytes} bytes (${formatBytes(disk.freeBytes)}) are free`;
  const { version } = voter;
  return hasFlaw(version, DISK_FLAW) ? `${found}; twice the room, for it is ${flawInWords(version, DISK_FLAW)}` : found;
}

const DISK_FLAW = 'full-disk-panics';

/** R6: what is in use, and a tenth more. R17: twice that where too little of it would end the member's process. */
function diskNeededBytes({ dbSizeInUse = 0, version }: ObservedMember): number {
  return Math.ceil(dbSizeInUse * 1.1) * (hasFlaw(version, DISK_FLAW) ? 2 : 1);
}

/** A sentence for each member that does not answer. */
export function troubles(members: readonly ObservedMember[]): string {
  return members
    .filter((member) => !member.healthy)
    .map(({ id, name, endpoint, shared, busy, problem }) => {
      const what = shared ? 'has no address of its own' : busy ? 'has to be waited for' : 'does not answer';
      return `${name || id} (${endpoint}) ${what}: ${problem ?? 'no reason given'}.`;
    })
    .join(' ');
}

/** A member's name, or its id where it has none (any more). */
export function nameOf(members: readonly { readonly id: string; readonly name: string }[], id: string): string {
  return members.find((member) => member.id === id)?.name || id;
}
