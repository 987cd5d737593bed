// The workflows: for each one entry, and a folder of its name under functions/ with its handler. Commands, events,
// functions, permissions, schedules, the dashboard's buttons and the words of messages are made of these.
import type { DocumentKind } from './documents.ts';
import type { AlarmKind } from './names.ts';

export interface Workflow {
  /**
   * What it works on: its credentials and its network are those, and it is deployed where the configuration has it.
   * One that works on etcd is given the nodes and the snapshots' bucket, too.
   */
  readonly reaches: 'etcd' | 'kubernetes';
  /** It has stale reports deleted by `prune` as a part of its own run, where that is deployed. */
  readonly ordersPruning: boolean;
  /** What it sends to nodes. */
  readonly documents: readonly DocumentKind[];
  /** It reads what earlier runs have left: their reports, or which operators they found. */
  readonly readsHistory: boolean;
  /** The longest run, in hours, from its turn on; CloudFormation changes a timeout in place. */
  readonly hours: { readonly alone: number; readonly withPruning: number };
  /** The stack's own alarms that start it. What they start isn't configurable. */
  readonly startedBy: readonly AlarmKind[];
  /** What its event on the bus is called: people's rules go by that. */
  readonly finishedEvent: string;
  /** A run that was refused, to an alarm at night, is no answer: somebody has to act. */
  readonly refusalNeedsAPerson: boolean;
  /** What it does, for the Lambda console: one sentence, without its full stop, that goes on with a cluster's name. */
  readonly description: (clusterName: string) => string;
  /** What a message's subject calls a run of it. */
  readonly subject: string;
  /** What the dashboard calls it, and its buttons. */
  readonly title: string;
  readonly buttons: {
    readonly dryRun: string;
    readonly forReal: string;
    /** What is asked before a run is started. */
    readonly question: (clusterName: string) => string;
  };
}

/**
 * The configuration lets one pruning delete for 3 hours; the lists before that, and its last batch, take less than one.
 */
const PRUNE_HOURS = 4;

/**
 * Two kubelets that are restarted and waited for, a snapshot, a compaction, five members with a defragmentation each
 * and the longest watch after them take under 3.5 hours.
 */
const RECOVER_HOURS = 4;

/**
 * The configuration's longest window, 12 hours, at whose end nothing new is begun, and what is still under way then.
 */
const MAINTAIN_HOURS = 12 + PRUNE_HOURS;

/** By their names, each one word in lower case letters. */
export const WORKFLOWS = {
  recover: {
    reaches: 'etcd',
    ordersPruning: true,
    // Only recovery restarts anything.
    documents: ['RestartKubelet', 'InspectNode'],
    // What the last nights' copies were full of.
    readsHistory: true,
    hours: { alone: RECOVER_HOURS, withPruning: RECOVER_HOURS + PRUNE_HOURS },
    // CloudWatch tells of a change once. Where that run was skipped or failed, the second is the one further try.
    startedBy: ['nospace', 'nospace-persists'],
    finishedEvent: 'Etcd Recovery Finished',
    refusalNeedsAPerson: true,
    description: (cluster) => `Brings etcd of cluster ${cluster} back from NOSPACE`,
    subject: 'recovery from NOSPACE',
    title: 'Recovery',
    buttons: {
      dryRun: 'Dry run: recover',
      forReal: 'Recover…',
      question: (cluster) =>
        `Start a recovery of ${cluster}? Where NOSPACE is raised it compacts, defragments the members one by one and disarms the alarm.`,
    },
  },
  maintain: {
    reaches: 'etcd',
    ordersPruning: true,
    // It looks at disks (R6).
    documents: ['InspectNode'],
    // By which it estimates a member's stall.
    readsHistory: true,
    hours: { alone: MAINTAIN_HOURS, withPruning: MAINTAIN_HOURS },
    startedBy: ['quota-usage'],
    finishedEvent: 'Etcd Maintenance Finished',
    // What maintenance and pruning refuse has alarms of its own, or can wait.
    refusalNeedsAPerson: false,
    description: (cluster) => `Compacts and defragments etcd of cluster ${cluster}`,
    subject: 'maintenance',
    title: 'Maintenance',
    buttons: {
      dryRun: 'Dry run: maintenance',
      forReal: 'Maintain…',
      question: (cluster) =>
        `Start maintenance of ${cluster} now? It compacts and defragments the members that are worth it, one by one.`,
    },
  },
  prune: {
    reaches: 'kubernetes',
    ordersPruning: false,
    documents: [],
    // Which operators they found.
    readsHistory: true,
    hours: { alone: PRUNE_HOURS, withPruning: PRUNE_HOURS },
    startedBy: [],
    finishedEvent: 'Report Pruning Finished',
    refusalNeedsAPerson: false,
    description: (cluster) => `Deletes stale reports in cluster ${cluster}`,
    subject: 'pruning of reports',
    title: 'Pruning',
    buttons: {
      dryRun: 'Dry run: prune',
      forReal: 'Prune…',
      question: (cluster) => `Delete the stale reports of ${cluster} now? They can't be brought back.`,
    },
  },
} as const satisfies Readonly<Record<string, Workflow>>;

/** What an event can start; its folder under functions/ is called so. */
export type WorkflowName = keyof typeof WORKFLOWS;

export function isWorkflow(name: string): name is WorkflowName {
  return Object.hasOwn(WORKFLOWS, name);
}

export const WORKFLOW_NAMES: readonly WorkflowName[] = Object.keys(WORKFLOWS).filter(isWorkflow);

/** The workflows that a cluster's stack has: pruning only where there is an API server to prune. */
export function workflowsOf(cluster: Readonly<Partial<Record<Workflow['reaches'], unknown>>>): readonly WorkflowName[] {
  return WORKFLOW_NAMES.filter((name) => cluster[WORKFLOWS[name].reaches] !== undefined);
}
