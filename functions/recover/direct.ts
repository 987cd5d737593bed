// Deletes stale reports directly in etcd where no API server can (R12): of the kinds of reports alone, what is stale by
// what it says of itself alone, each exactly as it was read. Works with the alarm on.
import type { PruningPolicy, StaleReason } from '../contract/configuration.ts';
import { EPHEMERAL_REPORTS, kindsToPrune, perProducer, type ReportKind } from '../contract/kinds.ts';
import { formatBytes, type PrunedResource, type RunReport } from '../contract/report.ts';
import { patiently } from '../control-plane/patience.ts';
import type { ReachableRun } from '../control-plane/run-context.ts';
import { checkBeforeChange, clientOf, connectAll, type Voter } from '../control-plane/voters.ts';
import { sweepKeys } from '../etcd/sweep-keys.ts';
import type { MemberClient, StoredValue } from '../etcd/types.ts';
import { keysOf, keysUnder, readStoredObject } from '../kubernetes/stored-object.ts';
import { type Circumstances, EVIDENCE, judge, type KeepReason, type Presence } from '../reports/stale.ts';

/** A look ends then, so that what it did is recorded and the lease renewed: a crash loses the count of no more. */
const LOOK_MS = 30_000;
/** With its last page, what was begun, and the looks at every voter before it. */
const LOOK_NEEDS_MS = LOOK_MS + 60_000;

/** How far one kind has come. */
interface Course {
  readonly kind: string;
  readonly listed: number;
  readonly deleted: number;
  readonly changed: number;
  readonly deletedBytes: number;
  /** Of what was deleted or changed. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly kept: Readonly<Record<string, number>>;
  /** Why the kind was left alone. */
  readonly refused?: string | undefined;
  /** Where to go on; undefined: it is through. */
  readonly next: string | undefined;
}

export interface DirectPruning {
  readonly deleted: number;
  readonly pruned: readonly PrunedResource[];
  /** One sentence. */
  readonly words: string;
}

/** Whether what the prune function has left may be deleted in etcd itself. */
export function mayDeleteDirectly(
  { direct }: Pick<PruningPolicy, 'direct'>,
  { unavailable, pruned = [] }: Pick<RunReport, 'unavailable' | 'pruned'>,
): boolean {
  if (direct === 'never') return false;
  if (unavailable === 'kubernetes') return true;
  const left = pruned.some(
    ({ stale, deleted, skipped, missing = 0, refused }) => !refused && stale > deleted + skipped + missing,
  );
  return direct === 'always' && left;
}

/**
 * The kinds of which a report itself can say that it is stale; not behind the back of whoever has the API server refuse
 * it.
 */
function kindsToDeleteDirectly(
  policy: Pick<PruningPolicy, 'kinds'>,
  pruned: readonly PrunedResource[],
): readonly ReportKind[] {
  const refused = new Set(pruned.flatMap((each) => (each.refused ? [each.resource] : [])));
  return kindsToPrune(policy.kinds).filter(
    ({ name, ephemeral, leftover, request }) => (ephemeral || leftover || request) && !refused.has(name),
  );
}

/**
 * One durable operation, however many reports there are.
 * @param pruned what the API server has done and refused
 * @throws GuardError
 */
export async function pruneDirectly(
  recovery: Pick<ReachableRun, 'journal' | 'cluster' | 'configuration'>,
  voters: readonly Voter[],
  pruned: readonly PrunedResource[],
): Promise<DirectPruning> {
  const { journal, cluster: open, configuration } = recovery;
  const kinds = kindsToDeleteDirectly(configuration.prune, pruned);
  const registry = configuration.kubernetes?.etcdPrefix;
  // What is not pruned through the API server is not pruned behind its back.
  if (registry === undefined) return { deleted: 0, pruned: [], words: '`kubernetes` is not configured.' };
  const step = await patiently<{ done: readonly Course[]; unknown: readonly Course[] }, readonly Course[]>(
    { journal },
    'delete reports in etcd',
    { neededMs: LOOK_NEEDS_MS, againSeconds: 1 },
    async (attempt) => {
      const untilMs = Date.now() + LOOK_MS;
      const cluster = await connectAll(open, voters, attempt.patienceMs);
      const statuses = await checkBeforeChange(cluster, voters, undefined, attempt);
      // Through the leader, who would be asked in the end.
      const through = voters.find(({ id }) => [...statuses.values()][0]?.leaderId === id) ?? voters[0];
      if (through === undefined) return { outcome: 'failed', detail: 'the cluster has no voter' };
      const client = clientOf(cluster, through);
      const { count } = await client.keyRange({ ...keysUnder(registry), limit: 1 });
      if (count === 0) {
        const detail = `there is no key under ${registry}/ in etcd: set kubernetes.etcdPrefix to the API server's --etcd-prefix`;
        return { outcome: 'refused', detail };
      }
      const hasEphemeralReports = await isDefined(client, EPHEMERAL_REPORTS, registry);
      const producers = { ...perProducer((): Presence => 'unknown'), hasEphemeralReports };
      const look = { client, registry, rules: configuration.prune, producers, untilMs, confirm: attempt.confirm };
      const rest = [...(attempt.memory ?? kinds.map((kind) => atBeginning(kind, registry)))];
      for (const [index, course] of rest.entries()) {
        const kind = kinds.find((one) => one.name === course.kind);
        if (kind === undefined || course.next === undefined) continue;
        const { problem, ...now } = await goOn(look, kind, course);
        // One that has deleted nothing says that it is not for want of time.
        if (problem !== undefined && now.deleted === course.deleted) throw problem;
        rest[index] = now;
        if (problem !== undefined || Date.now() >= untilMs) break;
      }
      const detail = describe(rest);
      if (rest.every(({ next }) => next === undefined)) return { outcome: 'done', detail, data: rest };
      return { outcome: 'unknown', detail, data: rest, memory: rest, again: true };
    },
  );
  const courses = step.outcome === 'done' || step.outcome === 'unknown' ? step.data : [];
  const deleted = courses.reduce((sum, course) => sum + course.deleted, 0);
  const swept = courses.filter(({ listed, refused }) => listed > 0 || refused !== undefined).map(prunedResource);
  return { deleted, pruned: swept, words: `${step.detail}.` };
}

function atBeginning(kind: ReportKind, registry: string): Course {
  const nothing = { listed: 0, deleted: 0, changed: 0, deletedBytes: 0, reasons: {}, kept: {} };
  return { kind: kind.name, ...nothing, next: keysOf(kind, registry).from };
}

/** What is the same for all kinds in one look. */
interface Look extends Pick<Circumstances, 'rules' | 'producers'> {
  readonly client: MemberClient;
  readonly registry: string;
  readonly untilMs: number;
  readonly confirm: () => Promise<boolean>;
}

async function goOn(
  { client, registry, rules, producers, untilMs, confirm }: Look,
  kind: ReportKind,
  course: Course,
): Promise<Course & { readonly problem?: unknown }> {
  const { from, to } = keysOf(kind, registry);
  const [first] = await client.values({ from, to, limit: 1 });
  if (first !== undefined && readStoredObject(from, first).kind === 'encrypted') {
    const refused = 'it is encrypted at rest, so that nobody but the API server can tell what is stale';
    return { ...course, refused, next: undefined };
  }
  const around = { owners: new Map(), successors: new Map<string, number>() };
  const circumstances = { kind, rules, producers, ...around, nowMs: Date.now() };
  const kept: Partial<Record<KeepReason, number>> = {};
  const isStale = (stored: StoredValue): StaleReason | undefined => {
    const object = readStoredObject(from, stored);
    const verdict = object.kind === 'object' ? judge(object.metadata, circumstances) : { keep: 'unreadable' as const };
    if ('stale' in verdict && EVIDENCE[verdict.stale] === 'object') return verdict.stale;
    // Nobody can tell of owners and operators now.
    const why = 'keep' in verdict ? verdict.keep : 'owner-unknown';
    kept[why] = (kept[why] ?? 0) + 1;
    return undefined;
  };
  const range = { from: course.next ?? from, to, judge: isStale, limit: Number.POSITIVE_INFINITY, untilMs, confirm };
  const swept = await sweepKeys(client, range);
  return {
    kind: course.kind,
    listed: course.listed + swept.listed,
    deleted: course.deleted + swept.deleted,
    changed: course.changed + swept.changed,
    deletedBytes: course.deletedBytes + swept.deletedBytes,
    reasons: added(course.reasons, swept.reasons),
    // What was kept is read again where it has to begin again.
    kept: swept.problem === undefined ? added(course.kept, kept) : course.kept,
    next: swept.next,
    problem: swept.problem,
  };
}

function added(
  counts: Readonly<Record<string, number>>,
  more: Readonly<Partial<Record<string, number>>>,
): Readonly<Record<string, number>> {
  const sums = { ...counts };
  for (const [name, count = 0] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** Whether the cluster has a kind defined, by the key of its CustomResourceDefinition. */
async function isDefined(
  client: MemberClient,
  { group, plural }: Pick<ReportKind, 'group' | 'plural'>,
  registry: string,
): Promise<boolean> {
  const { from } = keysOf({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }, registry);
  const key = `${from}${plural}.${group}`;
  return (await client.keyRange({ from: key, to: `${key}\0`, limit: 1 })).count > 0;
}

function prunedResource({
  kind,
  listed,
  deleted,
  changed,
  deletedBytes,
  reasons,
  kept,
  refused,
}: Course): PrunedResource {
  const { fresh: _, ...worthKnowing } = kept;
  return {
    resource: kind,
    listed,
    stale: deleted + changed,
    deleted,
    skipped: changed,
    directly: true,
    reasons,
    ...(Object.keys(worthKnowing).length > 0 && { kept: worthKnowing }),
    ...(deletedBytes > 0 && { staleBytes: deletedBytes }),
    ...(refused !== undefined && { note: `left alone: ${refused}` }),
  };
}

function describe(courses: readonly Course[]): string {
  const sum = (of: (course: Course) => number) => courses.reduce((total, course) => total + of(course), 0);
  const deleted = sum((course) => course.deleted);
  const refused = courses.flatMap((course) => (course.refused ? [`${course.kind}: ${course.refused}`] : []));
  const done =
    deleted === 0
      ? `no report says by itself that it is stale, of ${sum(({ listed }) => listed)} read in etcd`
      : `deleted ${deleted} stale reports directly in etcd, ${formatBytes(sum((course) => course.deletedBytes))}, of ${sum(({ listed }) => listed)} read`;
  return [done, ...refused].join('; ');
}
