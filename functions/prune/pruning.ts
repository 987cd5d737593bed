// What a pruning works with, and how patient it is.
import type { RaisedLimits, Trigger } from '../contract/command.ts';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import type { Journal } from '../engine/journal.ts';
import type { Api, PruneSession } from './session.ts';

/** etcd holds 8 GiB at most, which is a million small reports; their metadata is listed in two or three minutes. */
export const SURVEY_NEEDS_MS = 5 * 60_000;
/**
 * Beside the client's own patience of a minute each: an API server that is away for longer is not coming back tonight.
 */
export const AWAY_ATTEMPTS = 3;
export const AWAY_AGAIN_SECONDS = 30;
const AWAY_WITHIN_SECONDS = (AWAY_ATTEMPTS - 1) * AWAY_AGAIN_SECONDS;

/**
 * Where an emergency has another way than the API server (`prune.direct`): one that was killed is back within about
 * 20 s, and whoever waits for longer only keeps the cluster read-only.
 */
const EMERGENCY_PATIENCE_MS = 25_000;

/** How patient a run's connection and its looks are. */
export interface Haste {
  /** Of the client's calls. @default its own */
  readonly patienceMs?: number;
  /** For how long a look whose server is away is begun again. */
  readonly awayWithinSeconds: number;
}

export function hasteOf({ emergency, configuration }: Pick<Pruning, 'emergency' | 'configuration'>): Haste {
  if (!emergency || configuration.prune.direct === 'never') return { awayWithinSeconds: AWAY_WITHIN_SECONDS };
  return { patienceMs: EMERGENCY_PATIENCE_MS, awayWithinSeconds: 0 };
}

export interface Pruning {
  readonly configuration: ClusterConfiguration;
  readonly dryRun: boolean;
  readonly journal: Journal;
  /** etcd refuses writes, and the run on whose behalf this one works waits for it: what is stale has to go now. */
  readonly emergency: boolean;
  /** What a person allows this run beyond what is configured (R12). */
  readonly raised: RaisedLimits;
  /** What fired it. */
  readonly trigger: Trigger;
  /** Of lease and history; undefined: not configured. */
  readonly table: string | undefined;
  /** R16; undefined: not configured. */
  readonly switchParameter: string | undefined;
  /** Of this invocation. */
  readonly session: PruneSession;
}

/** A pruning that knows where the API server is. */
export interface Reached extends Pruning {
  /** Connected once an invocation and shared by its steps. @throws SetupError */
  readonly api: () => Promise<Api>;
}
