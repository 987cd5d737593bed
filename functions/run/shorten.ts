// Makes a report fit where only so many bytes go (an event, a table's item), without losing what a person needs first; and what a step
// has to record.
import { redact } from './errors.ts';
import type { StepResult } from './journal.ts';
import type { RunReport } from './report.ts';

/** What Lambda records of one durable operation, and hands from one function to another: more ends the execution. */
export const MOST_PAYLOAD_BYTES = 256 * 1024;
/** Stands around a step's result: times, counts. */
const RECORD_BYTES = 1_024;
const MOST_DETAIL_LENGTH = 4_000;

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

/**
 * A step's result as it can be recorded: with a shorter detail where it is too large; where its data alone is, it is `failed`, since
 * nobody could go on with half of it.
 */
export function fitResult<Result extends StepResult<unknown>>(result: Result): Result | StepResult<never> {
  const most = MOST_PAYLOAD_BYTES - RECORD_BYTES;
  if (jsonBytes(result) <= most) return result;
  const shorter = { ...result, detail: cut(result.detail, MOST_DETAIL_LENGTH) };
  const bytes = jsonBytes(shorter);
  if (bytes <= most) return shorter;
  const detail = `what came of it is too large to be recorded (${bytes} bytes, and Lambda takes ${most} of a step), so nothing can go by it. It was: ${shorter.outcome}: ${shorter.detail}`;
  return { outcome: 'failed', detail };
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

function cut(text: string, length: number): string {
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
    pruned: report.pruned?.slice(0, listLength).map((resource) => ({ ...resource, reasons: {} })),
  };
}

function reportJson(report: RunReport): string {
  return JSON.stringify(report, (_key, value: unknown) => (typeof value === 'string' ? redact(value) : value));
}
