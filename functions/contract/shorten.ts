// Makes a report fit where only so many bytes go (an event, a table's item), without losing what a person needs first.
import type { ReportContents } from './contents.ts';
import { redact } from './errors.ts';
import type { RunReport } from './report.ts';

export interface FittedReport {
  /** The report as JSON, at most as long as asked for; no secret in it (R15). */
  readonly json: string;
  /** True when something was left out; the report's `reason` then says so. */
  readonly shortened: boolean;
}

const NOTE = ' (This copy of the report is shortened: details were left out to make it fit.)';

/**
 * @param maxBytes of UTF-8
 * @returns the report whole, or with shorter details, or with fewer steps and members, the last ones gone first
 */
export function fitReport(report: RunReport, maxBytes: number): FittedReport {
  const whole = reportJson(report);
  if (Buffer.byteLength(whole) <= maxBytes) return { json: whole, shortened: false };
  for (const [textLength, listLength] of [
    [1_000, Number.POSITIVE_INFINITY],
    [200, Number.POSITIVE_INFINITY],
    [200, 100],
    [80, 20],
  ] as const) {
    const json = reportJson(shorten(report, textLength, listLength));
    if (Buffer.byteLength(json) <= maxBytes) return { json, shortened: true };
  }
  return { json: reportJson(shorten(report, 80, 0)), shortened: true };
}

/** Shortened to `length` characters, with an ellipsis. */
export function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function shorten(report: RunReport, textLength: number, listLength: number): RunReport {
  return {
    ...report,
    trigger: { ...report.trigger, source: cut(report.trigger.source, 1_000) },
    reason: cut(report.reason, 1_000) + NOTE,
    members: report.members
      .slice(0, listLength)
      .map((member) => (member.note === undefined ? member : { ...member, note: cut(member.note, textLength) })),
    steps: report.steps.slice(0, listLength).map((step) => ({ ...step, detail: cut(step.detail, textLength) })),
    plan: report.plan?.slice(0, listLength).map((step) => ({ ...step, detail: cut(step.detail, textLength) })),
    snapshot: report.snapshot && { ...report.snapshot, proof: cut(report.snapshot.proof, textLength) },
    contents: withFewerKinds(report.contents, listLength),
    lastNight: withFewerKinds(report.lastNight, listLength),
    pruned: report.pruned?.slice(0, listLength).map((resource) => ({ ...resource, reasons: {} })),
  };
}

function withFewerKinds(contents: ReportContents | undefined, most: number): ReportContents | undefined {
  return contents && { ...contents, kinds: contents.kinds.slice(0, most) };
}

function reportJson(report: RunReport): string {
  return JSON.stringify(report, (_key, value: unknown) => (typeof value === 'string' ? redact(value) : value));
}
