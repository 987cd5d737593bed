// R17: what a member's version of etcd can be harmed by, what mends it, and what is done about it. One table, and pure
// functions over it; each row was compared with etcd's own change logs and issues, which stand beside it.

/** The releases of one line that have a flaw: from the first (inclusive) to the one that mends it. */
interface Flawed {
  readonly from: string;
  readonly mendedIn: string;
}

export interface VersionRule {
  readonly flawed: readonly Flawed[];
  /** What can go wrong, in words that complete "its version …". */
  readonly what: string;
  /** What a night's maintenance does about it. */
  readonly maintenance: string;
  /** What a recovery from NOSPACE does about it. */
  readonly emergency: string;
  readonly sources: readonly string[];
}

const ETCD = 'https://github.com/etcd-io/etcd';

/** Older than anything that is told apart here. */
const EVER = '0.0.0';

export const VERSION_RULES = {
  'defragmentation-corrupts': {
    flawed: [
      { from: EVER, mendedIn: '3.3.19' },
      { from: '3.4.0', mendedIn: '3.4.4' },
    ],
    what: 'may corrupt its data in a defragmentation',
    maintenance: 'left alone, and named',
    emergency: 'refused',
    sources: [`${ETCD}/pull/11613`],
  },
  'crash-leaves-difference': {
    flawed: [{ from: '3.5.0', mendedIn: '3.5.6' }],
    what: "may have other revisions than the others' after a crash in the middle of a defragmentation",
    maintenance: 'left alone, and named',
    emergency: 'only once a snapshot was taken and compared in the same run',
    sources: [`${ETCD}/pull/14733`, 'https://github.com/ahrtr/etcd-issues/tree/master/issues/revision_inconsistency'],
  },
  'full-disk-panics': {
    flawed: [
      { from: EVER, mendedIn: '3.4.35' },
      { from: '3.5.0', mendedIn: '3.5.17' },
    ],
    what: 'panics where the disk is full in the middle of a defragmentation',
    maintenance: 'twice the room of R6',
    emergency: 'twice the room of R6',
    sources: [`${ETCD}/pull/18843`, `${ETCD}/pull/18842`],
  },
  'snapshot-meanwhile-corrupts': {
    flawed: [
      { from: EVER, mendedIn: '3.4.38' },
      { from: '3.5.0', mendedIn: '3.5.23' },
      { from: '3.6.0', mendedIn: '3.6.5' },
    ],
    what: 'may corrupt its data where a snapshot from the leader comes in the middle of a defragmentation',
    maintenance:
      'only where none is in flight, it is caught up, and it stays so by the estimated stall and the writes; else left alone, and named',
    emergency: 'only where none is in flight and it is caught up, and told',
    sources: [`${ETCD}/issues/20271`, `${ETCD}/pull/20659`, `${ETCD}/pull/20653`, `${ETCD}/pull/20650`],
  },
  'status-quota-wrong': {
    flawed: [{ from: EVER, mendedIn: '3.6.6' }],
    what: 'tells no quota in its Status (before 3.6.0), or a wrong one',
    maintenance: 'the quota is read from /metrics',
    emergency: 'the quota is read from /metrics',
    sources: [`${ETCD}/pull/20790`],
  },
  'read-may-be-stale': {
    flawed: [
      { from: EVER, mendedIn: '3.4.42' },
      { from: '3.5.0', mendedIn: '3.5.28' },
      { from: '3.6.0', mendedIn: '3.6.9' },
    ],
    what: 'may answer a linearizable read after a change of the leader without asking the others',
    maintenance: 'its health is proven by a second linearizable read',
    emergency: 'its health is proven by deleting a key that does not exist, which all have to agree to',
    sources: [`${ETCD}/issues/20418`, `${ETCD}/pull/21385`, `${ETCD}/pull/21387`, `${ETCD}/pull/21378`],
  },
  'removed-members-return': {
    flawed: [{ from: '3.5.1', mendedIn: '3.5.26' }],
    what: 'may bring members back that were removed, or make voters learners again, on the way to 3.6',
    maintenance: 'the probe names whoever it has never seen answer with this',
    emergency: 'the probe names whoever it has never seen answer with this',
    sources: [
      'https://etcd.io/blog/2025/zombie_members_upgrade/',
      'https://etcd.io/blog/2025/upgrade_from_3.5_to_3.6_issue',
      `${ETCD}/pull/20995`,
    ],
  },
} as const satisfies Readonly<Record<string, VersionRule>>;

export type VersionFlaw = keyof typeof VERSION_RULES;

/** How many entries a leader keeps for a member that is behind; one that is further behind gets a snapshot. */
const ENTRIES_KEPT = 5_000;
/** So many a member may fall behind in a stall: there is as much again for an estimate that is wrong. */
export const MOST_ENTRIES_BEHIND = ENTRIES_KEPT / 2;

/** The gate by which etcd defragments beside its reads and writes: announced for 3.8 (pull request 22425 of etcd). */
export const NON_BLOCKING_DEFRAGMENTATION = 'NonBlockingDefrag';

type Release = readonly [major: number, minor: number, patch: number];

const VERSION = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/**
 * Whether the version has the flaw. One that is no version, or is not known, has every flaw; one that is newer than
 * the table has none. A prerelease has what the release before it has, for nobody knows what it was made from: that of
 * a patch what the patch before has, that of a new line what the first release of the line before has.
 */
export function hasFlaw(version: string | undefined, flaw: VersionFlaw): boolean {
  const release = releaseOf(version);
  if (release === undefined) return true;
  return VERSION_RULES[flaw].flawed.some(
    ({ from, mendedIn }) => !isBefore(release, exactly(from)) && isBefore(release, exactly(mendedIn)),
  );
}

/** As a sentence's end: `at etcd 3.5.16, which may … (mended in 3.5.23; R17)`. */
export function flawInWords(version: string | undefined, flaw: VersionFlaw): string {
  const { what, flawed } = VERSION_RULES[flaw];
  const release = releaseOf(version);
  const ends = flawed.map(({ mendedIn }) => mendedIn);
  if (release === undefined) {
    const found = version === undefined ? 'at a version that is not known' : `at "${version}", which is no version`;
    return `${found}; an etcd before ${ends.join(', ')} ${what} (R17)`;
  }
  const mendedIn = ends.find((end) => isBefore(release, exactly(end)));
  return `at etcd ${version}, which ${what} (mended in ${mendedIn}; R17)`;
}

/** Whether such a member may have the gate NON_BLOCKING_DEFRAGMENTATION: from 3.8 on, its prereleases among them. */
export function mayDefragmentBeside(version: string | undefined): boolean {
  return isFromLine(version, 8);
}

/** Whether a cluster with such a member has begun its way to 3.6, from which on other data says who its members are. */
export function isFrom36(version: string | undefined): boolean {
  return isFromLine(version, 6);
}

/** Whether HashKV of such a member was held against what is made of its file here: 3.4 to 3.7, which hash the same. */
export function hashIsKnown(version: string | undefined): boolean {
  return isFromLine(version, 4) && !isFromLine(version, 8);
}

/** Whether it is of etcd 3's line with this minor or of a later one, by its first two numbers alone. */
function isFromLine(version: string | undefined, line: number): boolean {
  const [, major, minor] = VERSION.exec(version ?? '') ?? [];
  return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= line);
}

/** What it counts as; undefined where it is no version. */
function releaseOf(version: string | undefined): Release | undefined {
  const [, major, minor, patch, prerelease] = VERSION.exec(version ?? '') ?? [];
  if (major === undefined) return undefined;
  const release: Release = [Number(major), Number(minor), Number(patch)];
  if (prerelease === undefined) return release;
  if (release[2] > 0) return [release[0], release[1], release[2] - 1];
  return [release[0], Math.max(0, release[1] - 1), 0];
}

function exactly(version: string): Release {
  const release = releaseOf(version);
  if (release === undefined) throw new TypeError(`${version} in the table of versions is no version`);
  return release;
}

function isBefore(a: Release, b: Release): boolean {
  if (a[0] !== b[0]) return a[0] < b[0];
  if (a[1] !== b[1]) return a[1] < b[1];
  return a[2] < b[2];
}
