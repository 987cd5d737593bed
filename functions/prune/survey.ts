// One look at all reports of a kind: how many there are, which are stale and why, and about how many bytes they take.

import type { StaleReason } from '../contract/configuration.ts';
import { type ReportKind, SERVED_BY, STATE_COLUMN } from '../contract/kinds.ts';
import { NotServedError } from '../kubernetes/errors.ts';
import type { KubernetesClient, ListOptions, ObjectMetadata, Resource } from '../kubernetes/types.ts';
import {
  type Circumstances,
  EVIDENCE,
  type Evidence,
  judge,
  type KeepReason,
  ownerKind,
  type Producers,
  restsOn,
  type StaleRules,
} from '../reports/stale.ts';
import type { Counts } from './guard.ts';
import type { OwnerDirectory } from './owners.ts';
import { SURVEY_NEEDS_MS } from './pruning.ts';
import type { Candidate } from './session.ts';
import { listSuccessors } from './successors.ts';
import { checkTime, ServedElsewhereError, troubleOf } from './trouble.ts';

/**
 * The server holds the whole objects of one page, and this process its metadata, about 200 kB. Answers below 128 KiB it
 * would not compress, which would be five times the bytes; with several times as many reports a page, memory grows with
 * the number of pages.
 */
const PAGE_SIZE = 200;
/**
 * Reports of a kind differ in size by what they report on: ten spread over all of them tell the average well enough.
 */
const SAMPLES = 10;
/** Of finalizers and owners' kinds: enough to go and look. */
const NAMES = 5;

/** Plain data, small however many reports there are. */
export interface Surveyed extends Counts {
  readonly version: string;
  /** Which operators there are, by the same list of Deployments that the reports were judged by. */
  readonly producers: Producers;
  /** Of all stale ones, by the average of a few; undefined: none is stale, or none could be read. */
  readonly staleBytes?: number | undefined;
  /** The finalizers that keep stale reports. */
  readonly finalizers: readonly string[];
  /** Kinds of owners that could not be listed, and why. */
  readonly unknownOwners: readonly string[];
  /** What the server can't read of owners and operators, so that reports may be stale that nobody can tell of. */
  readonly unreadable: readonly string[];
  /** As it came over the wire. */
  readonly receivedBytes: number;
}

export interface Survey {
  readonly surveyed: Surveyed;
  readonly resource: Resource;
  /** The first stale ones, at most as many as asked for of each evidence. */
  readonly candidates: Candidate[];
}

export interface What {
  readonly kind: ReportKind;
  readonly rules: StaleRules;
  /** How many candidates to remember of each evidence: what the guard may hold back must not crowd out the others. */
  readonly capacity: number;
}

/**
 * @param untilMs no page is asked for after this, in ms since 1970. @default the time that a step with a survey waits
 *   for
 * @throws KubernetesError, SetupError, TooSlowError
 */
export async function survey(
  client: KubernetesClient,
  directory: OwnerDirectory,
  { kind, rules, capacity }: What,
  untilMs: number = Date.now() + SURVEY_NEEDS_MS,
): Promise<Survey> {
  const producers = await directory.producers(untilMs);
  const { resource, first } = await firstPage(client, kind);
  const stale: Partial<Record<StaleReason, number>> = {};
  const kept: Partial<Record<KeepReason, number>> = {};
  const finalizers = new Set<string>();
  const unknownOwners = new Set<string>();
  const candidates: Candidate[] = [];
  const remembered: Record<Evidence, number> = { object: 0, producer: 0, successor: 0, owners: 0 };
  const totals = { listed: 0, stale: 0, receivedBytes: 0 };
  if (first.items.length > 0) checkKeeper(kind, first.items, await client.aggregatedBy(resource));
  const mayHaveMoved = first.items.length > 0 && rules.reasons['moved-to-openreports'];
  const successors = mayHaveMoved ? await listSuccessors(client, kind, untilMs) : new Map<string, number>();
  for (let page = first; ; ) {
    await directory.learn(page.items, untilMs);
    const nowMs = Date.parse(page.servedAt);
    const circumstances = { kind, rules, producers, successors, owners: directory.owners, nowMs };
    totals.listed += page.items.length;
    totals.receivedBytes += page.receivedBytes;
    for (const report of page.items) {
      const verdict = judge(report, circumstances);
      if ('stale' in verdict) {
        totals.stale++;
        stale[verdict.stale] = (stale[verdict.stale] ?? 0) + 1;
        if (remembered[EVIDENCE[verdict.stale]]++ < capacity) {
          candidates.push(candidateOf(report, verdict.stale, circumstances));
        }
      } else {
        kept[verdict.keep] = (kept[verdict.keep] ?? 0) + 1;
        if (verdict.keep === 'finalizers') addSome(finalizers, report.finalizers);
        if (verdict.keep === 'owner-unknown') addSome(unknownOwners, problemsOf(report, directory));
      }
    }
    const { continueToken } = page;
    if (continueToken === undefined) break;
    checkTime(`listing ${kind.name}`, untilMs);
    page = await client.listPage(resource, { ...pageOf(kind), continueToken });
    checkKeeper(kind, page.items);
  }
  const surveyed: Surveyed = {
    ...totals,
    version: resource.version,
    producers,
    reasons: stale,
    kept,
    finalizers: [...finalizers],
    unknownOwners: [...unknownOwners],
    unreadable: [...directory.unreadable].slice(0, NAMES),
    // A request may hold what was asked of the API server, Secrets too: that is never read.
    staleBytes: kind.request ? undefined : await sizeOfStale(client, resource, candidates, totals.stale),
  };
  return { surveyed, resource, candidates };
}

/** @throws ServedElsewhereError where objects or their server say that they are not in this etcd */
function checkKeeper({ name }: ReportKind, items: readonly ObjectMetadata[], service?: string): void {
  const said = items.find(({ annotations }) => SERVED_BY in annotations)?.annotations[SERVED_BY];
  const keeper = service ?? said;
  if (keeper === undefined) return;
  throw new ServedElsewhereError(
    `${name} are kept by a server of their own (${keeper}), not in this etcd: to delete them would free nothing here`,
  );
}

function pageOf({ request }: ReportKind): ListOptions {
  return { limit: PAGE_SIZE, ...(request && { stateColumn: STATE_COLUMN }) };
}

/** @throws NotServedError where the cluster has none of the kind's versions */
async function firstPage(client: KubernetesClient, kind: ReportKind) {
  let notServed: unknown;
  for (const version of kind.versions) {
    const resource = { group: kind.group, version, plural: kind.plural };
    try {
      return { resource, first: await client.listPage(resource, pageOf(kind)) };
    } catch (error) {
      if (!(error instanceof NotServedError)) throw error;
      notServed ??= error;
    }
  }
  throw notServed;
}

/** No more of a report than is needed to delete it: many thousands are remembered. */
function candidateOf(report: ObjectMetadata, reason: StaleReason, circumstances: Circumstances): Candidate {
  const { namespace, name, uid, resourceVersion, ownerReferences } = report;
  const listed = { namespace, name, uid, resourceVersion, reason };
  const on = restsOn(reason, report, circumstances);
  if (on === undefined) return listed;
  return on === 'owners' ? { ...listed, restsOn: on, ownerReferences } : { ...listed, restsOn: on };
}

function problemsOf({ ownerReferences }: ObjectMetadata, { problems }: OwnerDirectory): string[] {
  return ownerReferences.flatMap((reference) => {
    const name = ownerKind(reference);
    const problem = problems.get(name);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}

function addSome(names: Set<string>, more: readonly string[]): void {
  for (const name of more) if (names.size < NAMES) names.add(name);
}

async function sizeOfStale(
  client: KubernetesClient,
  resource: Resource,
  candidates: readonly Candidate[],
  stale: number,
): Promise<number | undefined> {
  const samples = Math.min(SAMPLES, candidates.length);
  const step = candidates.length / samples;
  const spread = Array.from({ length: samples }, (_, i) => candidates[Math.floor((i + 0.5) * step)]);
  try {
    const sizes = await Promise.all(spread.map((object) => object && client.sizeBytes(resource, object)));
    const known = sizes.filter((size) => size !== undefined);
    if (known.length === 0) return undefined;
    return Math.round((known.reduce((sum, size) => sum + size, 0) / known.length) * stale);
  } catch (error) {
    // How large they are is good to know, and not needed to delete them.
    const { kind } = troubleOf(error);
    if (kind === 'refused' || kind === 'unreadable') return undefined;
    throw error;
  }
}
