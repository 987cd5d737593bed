// One look at all members as a step, repeated while a voter is away: it may be in an election or just restarting.
import { NoMemberAnsweredError } from '../etcd/errors.ts';
import { formatBytes } from '../run/report.ts';
import { nameOf, type Observation, type ObservedNode } from './decide.ts';
import { observe } from './observe.ts';
import type { Reached } from './workflow.ts';

/** What is still away after so long is away. */
const LOOK_WITHIN_SECONDS = 10;
const LOOK_AGAIN_SECONDS = 5;

export interface Look {
  /** Undefined where no member answered, and that is no observation. */
  readonly observation: Observation | undefined;
  /** What was seen, or why nothing could be. */
  readonly detail: string;
  /** When, in milliseconds since 1970. */
  readonly atMs: number;
}

/**
 * @param nodes to be remembered with what is seen
 * @param ofNobody what is seen where no member answers. @default nothing
 */
export async function look(
  { journal, configuration, cluster }: Pick<Reached, 'journal' | 'configuration' | 'cluster'>,
  name: string,
  nodes: readonly ObservedNode[] | undefined,
  ofNobody: (error: NoMemberAnsweredError) => Observation | undefined = () => undefined,
): Promise<Look> {
  const polling = { everySeconds: LOOK_AGAIN_SECONDS, withinSeconds: LOOK_WITHIN_SECONDS, guarded: false };
  const step = await journal.poll<Observation | undefined>(name, polling, async () => {
    try {
      const observation = await observe(await cluster(), configuration.etcd.quotaBytes);
      return { outcome: 'done', detail: describe(observation), data: observation, again: isUnsettled(observation) };
    } catch (error) {
      if (!(error instanceof NoMemberAnsweredError)) throw error;
      const again = error.problems.some(({ silent }) => silent);
      return { outcome: 'failed', detail: error.message, data: ofNobody(error), again };
    }
  });
  journal.note(name, step);
  const observation = step.data;
  const atMs = Date.parse(step.startedAt) + step.durationMs;
  return { observation: observation && { ...observation, nodes }, detail: step.detail, atMs };
}

/** R1 needs no second look. */
function isUnsettled({ members, alarms }: Observation): boolean {
  return (
    alarms.every(({ type }) => type === 'NOSPACE') && members.some(({ healthy, isLearner }) => !healthy && !isLearner)
  );
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
