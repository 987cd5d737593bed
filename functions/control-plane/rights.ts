// Before the first change: may the user of the client certificate do all that a run does? Missing rights show by day,
// in a dry run, not half-way at night.

import type { StepResult } from '../engine/step.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { inferredFrom, RIGHTS, tryRights } from '../etcd/rights.ts';
import type { Right } from '../etcd/types.ts';
import { nameOf, type Observation } from './observation.ts';
import type { ReachableRun } from './run-context.ts';

/**
 * Tries the rights at every voter, for each asks its own version of etcd. Nothing is changed by it.
 * @param rights which; CHEAP_RIGHTS where people wait, since the others go through the cluster's log. @default all
 * @returns why the run must end, with nothing changed; undefined where nothing is refused. What could not be told
 *   stands in the report's step.
 */
export async function missingRights(
  { journal, cluster }: Pick<ReachableRun, 'journal' | 'cluster'>,
  observation: Pick<Observation, 'members'>,
  rights: readonly Right[] = RIGHTS,
): Promise<string | undefined> {
  const step = await journal.step('rights', { guarded: false }, async () =>
    judgeRights(await cluster(), observation, rights),
  );
  if (step.outcome !== 'refused') return undefined;
  return `The user of the client certificate may not do everything that this run needs, so nothing was changed: ${step.detail}. Run again with that right.`;
}

async function judgeRights(
  cluster: EtcdCluster,
  { members }: Pick<Observation, 'members'>,
  rights: readonly Right[],
): Promise<StepResult> {
  const voters = members.filter(({ id, isLearner }) => !isLearner && cluster.client(id) !== undefined);
  const answers = await Promise.all(
    voters.map(async ({ id }) => {
      const client = cluster.client(id);
      const { refused, untold } = client ? await tryRights(client, rights) : { refused: [], untold: [] };
      const name = nameOf(members, id);
      return { refused: refused.map((text) => `${name}: ${text}`), untold: untold.map((text) => `${name}: ${text}`) };
    }),
  );
  const refused = answers.flatMap((answer) => answer.refused);
  if (refused.length > 0) return { outcome: 'refused', detail: refused.join('; ') };
  const untold = answers.flatMap((answer) => answer.untold);
  const granted = `${rights.join(', ')} tried at ${voters.length} voters and not refused; ${inferredFrom(rights)} inferred`;
  return untold.length === 0
    ? { outcome: 'done', detail: granted }
    : { outcome: 'unknown', detail: `${granted}; no answer to go by: ${untold.join('; ')}` };
}
