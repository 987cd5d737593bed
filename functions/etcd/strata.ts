// Cuts a range of keys into parts of about the same number of keys each, by counting alone: nothing in etcd's API finds
// the middle of a range.
import type { MemberClient } from './types.ts';

/** A part of a range, `from` included and `to` not, with how many keys are in it. */
export interface Stratum {
  readonly from: string;
  readonly to: string;
  readonly keys: number;
}

type Counting = Pick<MemberClient, 'keyRange'>;

/** Object names are made of these and less; any other character lands in a part beside them. */
const LAST_CHARACTER = 0x7e;

/**
 * Halves the largest part again and again, until there are `parts`, none can be halved, or `mayGoOn` says no. Each
 * count is a walk over the member's index of the keys that are counted, in memory, without their values.
 */
export async function cut(
  client: Counting,
  whole: Stratum,
  parts: number,
  mayGoOn: () => boolean,
): Promise<readonly Stratum[]> {
  const open: Stratum[] = [whole];
  const done: Stratum[] = [];
  while (open.length > 0 && open.length + done.length < parts && mayGoOn()) {
    open.sort((a, b) => b.keys - a.keys);
    const [largest] = open.splice(0, 1);
    if (largest === undefined) break;
    const halves = await halve(client, largest, mayGoOn);
    if (halves === undefined) done.push(largest);
    else open.push(...halves);
  }
  return [...open, ...done].sort((a, b) => (a.from < b.from ? -1 : 1));
}

/** @returns two parts that both have keys; undefined where there is nothing to halve, or no time for it */
async function halve(
  client: Counting,
  { from, to, keys }: Stratum,
  mayGoOn: () => boolean,
): Promise<readonly [Stratum, Stratum] | undefined> {
  if (keys < 2) return undefined;
  const first = (await client.keyRange({ from, to, limit: 1 })).keys[0]?.key;
  if (first === undefined) return undefined;
  const before = async (end: string) => (await client.keyRange({ from, to: end, limit: 1 })).count;
  // How long the beginning is that all keys have in common with the first: by bisection, as it may be a hundred
  // characters.
  let common = 0;
  for (let least = 0, most = first.length; least < most && mayGoOn(); ) {
    const length = Math.ceil((least + most) / 2);
    if ((await before(`${first.slice(0, length)}\x7f`)) >= keys) {
      least = length;
      common = length;
    } else {
      most = length - 1;
    }
  }
  // Behind it they differ: the character that leaves about half of them on each side.
  let best: Stratum | undefined;
  let low = (first.codePointAt(common) ?? 0) + 1;
  for (let high = LAST_CHARACTER; low <= high && mayGoOn(); ) {
    const middle = Math.floor((low + high) / 2);
    const end = first.slice(0, common) + String.fromCodePoint(middle);
    const left = await before(end);
    if (left > 0 && left < keys && Math.abs(left - keys / 2) < Math.abs((best?.keys ?? 0) - keys / 2)) {
      best = { from, to: end, keys: left };
    }
    if (left < keys / 2) low = middle + 1;
    else high = middle - 1;
  }
  return best && [best, { from: best.to, to, keys: keys - best.keys }];
}
