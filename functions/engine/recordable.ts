// Makes a step's result fit into what Lambda records of one durable operation.
import { cut } from '../contract/shorten.ts';
import type { AnyResult } from './step.ts';

/** What Lambda records of one durable operation, and hands from one function to another: more ends the execution. */
export const MOST_PAYLOAD_BYTES = 256 * 1024;
/** Stands around a step's result: times, counts. */
const RECORD_BYTES = 1_024;
const MOST_DETAIL_LENGTH = 4_000;

/**
 * A step's result as it can be recorded: with a shorter detail where it is too large; where its data alone is, it is
 * `failed`, since nobody could go on with half of it.
 */
export function fitResult<Result extends AnyResult>(result: Result) {
  const most = MOST_PAYLOAD_BYTES - RECORD_BYTES;
  if (jsonBytes(result) <= most) return result;
  const shorter = { ...result, detail: cut(result.detail, MOST_DETAIL_LENGTH) };
  const bytes = jsonBytes(shorter);
  if (bytes <= most) return shorter;
  const detail = `what came of it is too large to be recorded (${bytes} bytes, and Lambda takes ${most} of a step), so nothing can go by it. It was: ${shorter.outcome}: ${shorter.detail}`;
  return { outcome: 'failed' as const, detail };
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}
