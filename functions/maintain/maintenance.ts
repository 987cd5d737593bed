// What a night's maintenance has to work with.
import type { RunContext } from '../control-plane/run-context.ts';

export interface Maintenance extends RunContext {
  /** The table with the earlier runs' reports; undefined: not configured. */
  readonly table: string | undefined;
}
