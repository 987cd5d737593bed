// What a workflow's run has to work with: its command, its journal, and how to reach the members.
import type { Command } from '../contract/command.ts';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import type { Journal } from '../engine/journal.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';

export interface RunContext {
  readonly command: Command;
  readonly configuration: ClusterConfiguration;
  readonly journal: Journal;
  /** R13; undefined: not configured, or switched off. */
  readonly snapshotBucket: string | undefined;
  /** The prune function's qualified ARN; undefined: not configured. */
  readonly pruneFunction: string | undefined;
  /** The table of lease and history; undefined: not configured. */
  readonly table: string | undefined;
  /** R16; undefined: not configured. */
  readonly switchParameter: string | undefined;
  /** The members' connections; opened once an invocation and shared by its steps. */
  readonly cluster: (endpoints: readonly string[]) => Promise<EtcdCluster>;
}

/** The same, once it is known where etcd is. */
export interface ReachableRun extends Omit<RunContext, 'cluster'> {
  readonly endpoints: readonly string[];
  readonly cluster: () => Promise<EtcdCluster>;
}
