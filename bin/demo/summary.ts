// The end of the demo's story: what became of each member's file, and how long writes were refused.
import { styleText } from 'node:util';
import { formatBytes, type ReportMember, type RunReport } from '../../functions/contract/report.ts';
import type { RecordedEvent } from '../../lab/aws/eventbridge.ts';
import type { StoredObject } from '../../lab/aws/s3.ts';

const BAR_WIDTH = 24;

export interface Ending {
  /** Undefined: writes are still refused. */
  readonly refusedMs: number | undefined;
  readonly events: readonly RecordedEvent[];
  readonly snapshots: readonly StoredObject[];
  /**
   * When the last back-off would have ended by itself (milliseconds since the epoch), and how much faster the clocks
   * ran.
   */
  readonly crashLoop: { readonly backOffEndsAt: number; readonly speed: number } | undefined;
}

export function summary(report: RunReport, { refusedMs, events, snapshots, crashLoop }: Ending): string {
  const seconds = (Date.parse(report.finishedAt) - Date.parse(report.startedAt)) / 1000;
  const refused = refusedMs === undefined ? '(still refused)' : `${(refusedMs / 1000).toFixed(1)} s`;
  return [
    `${styleText(report.outcome === 'recovered' ? 'green' : 'red', report.outcome)}: ${report.reason}`,
    '',
    ...report.members.map(memberLine),
    '',
    `Writes were refused for ${refused}; the run took ${seconds.toFixed(1)} s, most of it watching that the alarm stays away.`,
    ...(crashLoop ? [savedTime(report, crashLoop)] : []),
    ...snapshots.map(({ key, bytes }) => `Snapshot before the first change: ${key}, ${formatBytes(bytes)}.`),
    `On the bus: ${events.map(({ detailType }) => `"${detailType}"`).join(', ') || 'nothing'}.`,
  ].join('\n');
}

function savedTime(report: RunReport, { backOffEndsAt, speed }: NonNullable<Ending['crashLoop']>): string {
  const canary = report.steps.find(({ name, outcome }) => name === 'canary' && outcome === 'done');
  if (canary === undefined) return 'The cluster did not take writes again.';
  const savedSeconds = Math.round((speed * (backOffEndsAt - Date.parse(canary.startedAt))) / 1000);
  return `In the kubelets' time it took writes again ${savedSeconds} s before the last back-off would have ended.`;
}

function memberLine({ name, isLeader, quotaBytes, before, after, durationMs }: ReportMember): string {
  const quota = typeof quotaBytes === 'number' ? quotaBytes : undefined;
  const size = (bytes: number | undefined) => (bytes === undefined ? '?' : formatBytes(bytes)).padStart(8);
  const took = durationMs === undefined ? '' : `, defragmented in ${(durationMs / 1000).toFixed(2)} s`;
  return `  ${name}  ${bar(before?.dbSize, quota)} ${size(before?.dbSize)}  →  ${bar(after?.dbSize, quota)} ${size(after?.dbSize)}${took}${isLeader ? ', leads' : ''}`;
}

function bar(bytes: number | undefined, quota: number | undefined): string {
  const share = bytes === undefined || quota === undefined ? 0 : Math.min(1, bytes / quota);
  const full = Math.max(bytes ? 1 : 0, Math.round(share * BAR_WIDTH));
  const colour = share > 0.9 ? 'red' : share > 0.8 ? 'yellow' : 'green';
  return styleText(colour, '█'.repeat(full)) + styleText('gray', '░'.repeat(BAR_WIDTH - full));
}
