// One look at all members as a step, repeated while a voter is away: it may be in an election or just restarting.

import type { Command } from '../contract/command.ts';
import { formatBytes } from '../contract/report.ts';
import { NoMemberAnsweredError } from '../etcd/errors.ts';
import { nameOf, type Observation, type ObservedNode } from './observation.ts';
import { observe } from './observe.ts';
import { AWAY_SECONDS, lookAgainSeconds } from './patience.ts';
import type { ReachableRun } from './run-context.ts';

/**
 * What is still away after so many looks may be so for long: a decision that can do something about it does not wait.
 */
const LOOKS = 3;
const LOOK_AGAIN_SECONDS = 5;

export interface Look {
  /** Undefined where no member answered, and that is no observation. */
  readonly observation: Observation | undefined;
  /** What was seen, or why nothing could be. */
  readonly detail: string;
  /** When, in milliseconds since 1970. */
  readonly atMs: number;
}

export interface LookOptions {
  /** What is seen where no member answers. @default nothing */
  readonly ofNobody?: ((error: NoMemberAnsweredError) => Observation | undefined) | undefined;
  /** Whoever is away is waited for as long as in any step of the sweep. @default 10 s */
  readonly patient?: boolean;
  /** The lease is renewed meanwhile, and the switch heeded. @default where it is `patient` */
  readonly guarded?: boolean;
  /** Milliseconds since 1970: nobody is waited for any more from then on. */
  readonly untilMs?: number | undefined;
}

interface Seen {
  readonly done: Observation;
  /** Where no member answered, and that is an observation. */
  readonly failed: Observation | null;
}

/** Names of who was away at the looks before. */
interface Waited {
  readonly waitedFor: readonly string[];
}

/**
 * @param nodes to be remembered with what is seen
 * @throws GuardError where it is `guarded`
 */
export async function look(
  { journal, configuration, cluster }: Pick<ReachableRun, 'journal' | 'configuration' | 'cluster'>,
  name: string,
  nodes: readonly ObservedNode[] | undefined,
  {
    ofNobody = () => undefined,
    patient = false,
    guarded = patient,
    untilMs = Number.POSITIVE_INFINITY,
  }: LookOptions = {},
): Promise<Look> {
  const everySeconds = ({ look }: { look: number }) => (patient ? lookAgainSeconds(look) : LOOK_AGAIN_SECONDS);
  const withinSeconds = patient ? AWAY_SECONDS : (LOOKS - 1) * LOOK_AGAIN_SECONDS;
  const polling = { everySeconds, withinSeconds, guarded, quiet: true };
  const step = await journal.poll<Seen, Waited>(
    name,
    polling,
    async ({ memory: { waitedFor } = { waitedFor: [] } }) => {
      const may = Date.now() < untilMs;
      try {
        const observation = await observe(await cluster(), configuration.etcd.quotaBytes);
        const away = awayIn(observation);
        const memory = { waitedFor: [...new Set([...waitedFor, ...away])] };
        const again = may && isUnsettled(observation);
        return { outcome: 'done', detail: describe(observation), data: observation, again, memory };
      } catch (error) {
        if (!(error instanceof NoMemberAnsweredError)) throw error;
        const again = may && error.problems.some(({ silent }) => silent);
        const memory = { waitedFor: [...new Set([...waitedFor, 'every member'])] };
        return { outcome: 'failed', detail: error.message, data: ofNobody(error) ?? null, again, memory };
      }
    },
  );
  const { data: observation, memory: { waitedFor } = { waitedFor: [] } } = step;
  const waited = step.looks > 1 ? `; waited ${Math.round(step.durationMs / 1000)} s for ${waitedFor.join(', ')}` : '';
  journal.note(name, { ...step, detail: step.detail + waited });
  const atMs = Date.parse(step.startedAt) + step.durationMs;
  return { observation: observation ? { ...observation, nodes } : undefined, detail: step.detail, atMs };
}

/**
 * A person who has started the run, and of whose endpoints none answers, has most likely a wrong one, and is not kept
 * waiting for ten minutes to be told so. An alarm comes once, so its run waits.
 */
export function isTypedInVain({ trigger }: Command, { observation }: Look): boolean {
  return trigger.kind === 'manual' && observation === undefined;
}

/** Names of the voters that may be back if they are waited for. */
export function awayIn({ members }: Observation): string[] {
  // Waiting gives nobody an address of its own (R19).
  return members.flatMap(({ id, name, healthy, isLearner, shared }) =>
    healthy || isLearner || shared ? [] : [name || id],
  );
}

/** R1 needs no second look. */
function isUnsettled(observation: Observation): boolean {
  return observation.alarms.every(({ type }) => type === 'NOSPACE') && awayIn(observation).length > 0;
}

function describe({ members, alarms, revision }: Observation): string {
  const healthy = members.filter((member) => member.healthy).length;
  const files = members.map(({ id, name, dbSize, dbSizeInUse }) =>
    dbSize === undefined || dbSizeInUse === undefined
      ? `${name || id} away`
      : `${name || id} ${formatBytes(dbSize)} (${formatBytes(dbSizeInUse)} in use)`,
  );
  const raised = alarms.map(({ type, memberId }) => `${type} on ${nameOf(members, memberId)}`).join(', ') || 'no alarm';
  return `${healthy} of ${members.length} members healthy; ${files.join(', ')}; ${raised}; revision ${revision}`;
}
