// Names the durable execution that a cause leads to, so that the same cause delivered again finds the run that is
// there.
import { createHash } from 'node:crypto';
import type { Command } from '../contract/command.ts';

/** Lambda's limit for a DurableExecutionName, which is made of `[A-Za-z0-9-_]`. */
const MAX_LENGTH = 64;
/** 64 bits: with a thousand runs kept, two of them share a name once in 10^13 times. */
const HASH_LENGTH = 16;

/**
 * `recover-<cluster>-<hash of cause and command>`. Names are unique per account and region, so the cluster is in both
 * parts: readable (cut where it is too long) and hashed (whole).
 */
export function executionName(command: Command, cause: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([cause, command]))
    .digest('hex')
    .slice(0, HASH_LENGTH);
  const start = `${command.workflow}-${command.cluster}`.slice(0, MAX_LENGTH - HASH_LENGTH - 1);
  return `${start}-${hash}`;
}
