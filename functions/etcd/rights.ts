// What etcd's own authorization lets the user of the client certificate do at a member, found out by calls that change
// nothing.
import { describeError } from '../contract/errors.ts';
import { PermissionDeniedError } from './errors.ts';
import type { MemberClient, Right } from './types.ts';

/**
 * Each call that is tried, with those whose right follows from it: etcd asks for the role `root` in all of these or in
 * fewer (3.4.23 to 3.7.3).
 */
const FOLLOWING: Readonly<Record<Right, readonly string[]>> = {
  HashKV: ['Defragment', 'Snapshot', 'MoveLeader'],
  Compact: [],
  // Whoever may disarm has the role `root`, or etcd checks nobody there.
  Alarm: [],
};

/** All that are tried. */
export const RIGHTS: readonly Right[] = ['HashKV', 'Compact', 'Alarm'];
/**
 * Those that are answered by the member alone, at once, and don't go through the cluster's log. Whoever may HashKV has
 * the role `root`, which lets do the others as well.
 */
export const CHEAP_RIGHTS: readonly Right[] = ['HashKV'];

export interface Rights {
  /** Each call that was refused, as a sentence that says what is inferred from it. */
  readonly refused: readonly string[];
  /** Each call that had no answer to go by, and why: neither granted nor refused. */
  readonly untold: readonly string[];
}

/** Tries the rights at one member, all at the same time. Never throws for what the member says. */
export async function tryRights(
  client: Pick<MemberClient, 'tryRight'>,
  rights: readonly Right[] = RIGHTS,
): Promise<Rights> {
  const answers = await Promise.allSettled(rights.map((right) => client.tryRight(right)));
  const refused: string[] = [];
  const untold: string[] = [];
  for (const [index, answer] of answers.entries()) {
    const right = rights[index];
    if (answer.status === 'fulfilled' || right === undefined) continue;
    const said = describeError(answer.reason);
    if (answer.reason instanceof PermissionDeniedError) refused.push(`${said}${inferred(right)}`);
    else untold.push(said);
  }
  return { refused, untold };
}

/** The calls that were not tried and whose right follows from `rights`, in words. */
export function inferredFrom(rights: readonly Right[]): string {
  const untried = RIGHTS.filter((right) => !rights.includes(right));
  return [...rights.flatMap((right) => FOLLOWING[right]), ...untried].join(', ');
}

function inferred(right: Right): string {
  const following = FOLLOWING[right];
  return following.length === 0 ? '' : ` (inferred from it: ${following.join(', ')} would be refused, too)`;
}
