// One look at all members as a step, repeated while a voter is away: it may be in an election or just restarting.
import { NoMemberAnsweredError } from '../etcd/errors.ts';
import { nameOf, type Observation, type ObservedNode } from '../recover/decide.ts';
import { observe } from '../recover/observe.ts';
import type { Reached } from '../recover/workflow.ts';
import { formatBytes } from '../run/report.ts';

/** What is still away after so many looks is away. */
const LOOKS = 3;
const LOOK_AGAIN_SECONDS = 5;

export interface Look {
  /** Undefined where no member answered. */
  readonly observation: Observation | undefined;
  /** What was seen, or why nothing could be. */
  readonly detail: string;
  /** When, in milliseconds since 1970. */
  readonly atMs: number;
}

export async function look(
  { journal, configuration, cluster, context }: Pick<Reached, 'journal' | 'configuration' | 'cluster' | 'context'>,
  name: string,
  nodes: readonly ObservedNode[] | undefined,
): Promise<Look> {
  for (let attempt = 1; ; attempt++) {
    const step = await journal.quietUnguardedStep(attempt === 1 ? name : `${name} (${attempt})`, async () => {
      try {
        const data = await observe(await cluster(), configuration.etcd.quotaBytes);
        return { outcome: 'done', detail: describe(data), data };
      } catch (error) {
        if (!(error instanceof NoMemberAnsweredError)) throw error;
        return { outcome: 'failed', detail: error.message };
      }
    });
    if (isSettled(step.data) || attempt === LOOKS) {
      journal.note(name, step);
      const atMs = Date.parse(step.startedAt) + step.durationMs;
      return { observation: step.data && { ...step.data, nodes }, detail: step.detail, atMs };
    }
    await context.wait('look again', { seconds: LOOK_AGAIN_SECONDS });
  }
}

/** R1 needs no second look. */
function isSettled(seen: Observation | undefined): boolean {
  if (seen === undefined) return false;
  return (
    seen.alarms.some(({ type }) => type !== 'NOSPACE') ||
    seen.members.every(({ healthy, isLearner }) => healthy || isLearner)
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
