// Tells people: each topic gets a report's message once, and one topic that fails keeps nothing from the others.

import { rehearsalFailed } from '../aws/events.ts';
import { describeError } from '../contract/errors.ts';
import { type RunReport, SWITCH_STEP } from '../contract/report.ts';
import type { NotifyEnvironment } from './environment.ts';
import { NotificationError } from './errors.ts';
import { composeMessage } from './message.ts';
import { once } from './once.ts';
import { publish } from './topic.ts';

export interface Announcement {
  readonly report: RunReport;
  readonly execution: string | undefined;
  /** What is told, the same for each delivery of its event. @default the report's own */
  readonly identity?: string;
}

export interface Announced {
  /** ARNs of the topics that the message was sent to now; the others had it before. */
  readonly topicArns: readonly string[];
  /** What could not be remembered, so that a message may come a second time. */
  readonly problems: readonly string[];
}

/** @throws NotificationError naming each topic that could not be told; a repeated call tells only those */
export async function announce(environment: NotifyEnvironment, announcement: Announcement): Promise<Announced> {
  const { table, cluster, switchParameter, topicArns } = environment;
  const { report, execution, identity = identityOf(report) } = announcement;
  const message = composeMessage(report, { switchParameter, execution, topicArn: topicArns[0] ?? '' });
  const told: string[] = [];
  const problems: string[] = [];
  const failures: unknown[] = [];
  for (const topicArn of topicArns) {
    try {
      const marker = { table, cluster: cluster.name, identity: `${topicArn} ${identity}` };
      const { kind, problem } = await once(marker, () => publish(topicArn, message));
      if (kind === 'done') told.push(topicArn);
      if (problem !== undefined) problems.push(problem);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 0) return { topicArns: told, problems };
  const words = failures.map(describeError).join('; ');
  throw new NotificationError(
    `${failures.length} of ${topicArns.length} topics were not told "${message.subject}": ${words}`,
    {
      cause: failures[0],
    },
  );
}

const WEEK_MS = 7 * 24 * 60 * 60_000;

/** A shortened copy of a report is the same report. What can wait is told once a week, as long as it is the same. */
function identityOf(report: RunReport): string {
  const { workflow, outcome, trigger, dryRun, startedAt, finishedAt, canWait, pruned = [] } = report;
  if (canWait) {
    const held = pruned.flatMap((kind) => (kind.held ? [[kind.resource, ...Object.keys(kind.held)]] : []));
    return JSON.stringify([workflow, 'held back', held, Math.floor(Date.parse(finishedAt) / WEEK_MS)]);
  }
  return JSON.stringify([workflow, outcome, trigger.kind, trigger.source, dryRun, startedAt, finishedAt]);
}

/**
 * Nights on which all went well, and answers to a person who asked: told only with `notify.routine`. What an alarm has
 * begun is none where it was planned only (R16: the switch says observe): etcd is still in need. Nor is a switch that
 * nobody can read or understand: no night would do anything any more. Of a rehearsal (a dry run for which nobody waits)
 * the failure is told.
 */
export function isRoutine(report: RunReport): boolean {
  const { outcome, trigger, dryRun, steps } = report;
  if (trigger.rehearsal) return !rehearsalFailed(report);
  // Whoever has asked what would be done has the answer before them.
  if (dryRun && trigger.kind === 'manual') return true;
  switch (outcome) {
    case 'maintained':
    case 'pruned':
    case 'nothing-to-do':
    case 'healthy':
      return true;
    case 'planned':
      if (dryRun) return true;
      return trigger.kind !== 'alarm' && !steps.some((step) => step.name === SWITCH_STEP && step.outcome === 'failed');
    case 'skipped':
      return trigger.kind === 'schedule';
    default:
      return false;
  }
}
