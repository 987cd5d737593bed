// Everything that the page shows, as plain data: what was read, and when.

import type { Command } from '../contract/command.ts';
import type { KeptContents } from '../contract/contents.ts';
import type { ProbeLook } from '../contract/probe-record.ts';
import type { Schedule } from './next-runs.ts';
import type { PastRun } from './records.ts';

export interface Situation {
  readonly cluster: string;
  /** When all of this was read, in milliseconds since 1970. */
  readonly now: number;
  /** Null: the probe has not written one yet. */
  readonly look: ProbeLook | null;
  /** Null: no run is at work. */
  readonly lease: HeldLease | null;
  /** The newest first. */
  readonly runs: readonly PastRun[];
  /** What the last copy was full of that had its history, or else the last one. Null: nobody has told yet. */
  readonly contents: KeptContents | null;
  /** R16. */
  readonly mode: { readonly mode: 'auto' | 'observe'; readonly detail: string; readonly isProblem: boolean };
  readonly schedules: readonly ScheduledWorkflow[];
  /** What a button can start. */
  readonly workflows: readonly Command['workflow'][];
  /** The ARN of dispatch, which every button calls. */
  readonly dispatchArn: string;
  /** What could not be read, one sentence each. */
  readonly problems: readonly string[];
}

export interface HeldLease {
  readonly workflow: string;
  /** Milliseconds since 1970. */
  readonly acquiredAt: number;
  /** From then on the run counts as abandoned: whoever works renews it long before. */
  readonly expiresAt: number;
  /**
   * Its run was ended from outside; the lease keeps others away from what may still be under way of it.
   * @default false
   */
  readonly isEnded?: boolean;
}

export interface ScheduledWorkflow {
  readonly workflow: Command['workflow'];
  /** False: never by itself. */
  readonly schedule: Schedule | false;
}

/** How the page is to be drawn: what CloudWatch tells of the widget. */
export interface Frame {
  readonly theme: 'light' | 'dark';
  /** Pixels. */
  readonly width: number;
  /** Of the times that are shown, against UTC. */
  readonly offsetMinutes: number;
}
