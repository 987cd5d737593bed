// How fast a database's kinds grow and are written, by its contents on earlier nights. Pure.
import type { ContentsGrowth, KeptContents, ReportContents } from '../contract/contents.ts';
import type { KindContents } from './types.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** A rate over less than this is a moment's. */
const SHORTEST_MS = 60 * MINUTE_MS;
/** Of today's rate: an interval with less is none of the same. */
const SAME_SHARE = 0.5;

/**
 * From the newest earlier copy on that is old enough to count from. One with a newer revision is of a database that was
 * replaced since, by a restored one say, and so is all before it.
 * @param nights newest first
 * @param at of the copy that they are compared with, ISO 8601
 * @param revision what the member was at, at least; undefined: not known
 */
export function earlierThan(nights: readonly KeptContents[], at: string, revision?: bigint): readonly KeptContents[] {
  const first = nights.findIndex((night) => Date.parse(at) - Date.parse(night.at) >= SHORTEST_MS);
  const earlier = first < 0 ? [] : nights.slice(first);
  const isReplaced = revision !== undefined && earlier.some((night) => BigInt(night.revision) > revision);
  return isReplaced ? [] : earlier;
}

/** The whole database's. @param nights of `earlierThan` */
export function growthOfAll(
  { revision, at }: Pick<ReportContents, 'revision'> & { readonly at: string },
  [before]: readonly KeptContents[],
): ReportContents['earlier'] {
  if (before === undefined) return undefined;
  const minutes = (Date.parse(at) - Date.parse(before.at)) / MINUTE_MS;
  return { at: before.at, revisionsPerMinute: Number(BigInt(revision) - BigInt(before.revision)) / minutes };
}

/**
 * What a key's version has grown by is how often it was written: exactly, as long as it is the same key. One that came
 * in between was written as often as its version says. One that went took its version with it, so that what is told may
 * be too little, and never too much.
 * @param kind counted with `since` at the first night's revision
 * @param nights of `earlierThan`
 */
export function growthOf(kind: KindContents, at: string, nights: readonly KeptContents[]): ContentsGrowth | undefined {
  const [before] = nights;
  const then = before && kindOf(before, kind.resource);
  if (before === undefined || then?.versions === undefined) return undefined;
  const ms = Date.parse(at) - Date.parse(before.at);
  const ofOld = Math.max(0, kind.versions - kind.newVersions - then.versions);
  const writesPerMinute = ((kind.newVersions + ofOld) / ms) * MINUTE_MS;
  return {
    keysPerDay: ((kind.keys - then.keys) / ms) * DAY_MS,
    liveBytesPerDay: ((kind.liveBytes - then.liveBytes) / ms) * DAY_MS,
    writesPerMinute,
    since: sinceWhen(kind.resource, writesPerMinute * SAME_SHARE, nights),
  };
}

/** Back through the nights, as far as each tells its own rate. */
function sinceWhen(resource: string, least: number, nights: readonly KeptContents[]): string {
  let since = nights[0]?.at ?? '';
  for (let night = nights[0]; night?.earlier !== undefined; night = nights.find(({ at }) => at === since)) {
    const { growth } = night.kinds.find((kind) => kind.resource === resource) ?? {};
    if (growth === undefined || growth.writesPerMinute < least) break;
    since = night.earlier.at;
  }
  return since;
}

/** What was not among the largest was there only where there were more than those. */
function kindOf({ kinds, otherKinds }: ReportContents, resource: string) {
  const nothing = otherKinds === 0 ? { keys: 0, liveBytes: 0, versions: 0 } : undefined;
  return kinds.find((kind) => kind.resource === resource) ?? nothing;
}
