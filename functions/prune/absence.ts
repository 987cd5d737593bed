// R12: that an operator is gone counts only where two looks, some time apart, say so.
import { type ProducerRecord, readProducers, recordProducers } from '../aws/producer-records.ts';
import { describeError } from '../contract/errors.ts';
import { PRODUCER_NAMES, type Producer, perProducer } from '../contract/kinds.ts';
import type { Presence } from '../reports/stale.ts';
import type { Found } from './look.ts';
import type { Reached } from './pruning.ts';

const HOUR_MS = 60 * 60_000;
/** An operator that is being upgraded, or moved to another namespace, has no Deployment for minutes. */
const APART_MS = HOUR_MS;
/** A week's rehearsal is the least often that anybody looks, and may be a day late. */
const WITHIN_MS = 8 * 24 * HOUR_MS;

/** What earlier looks say; `why` where there is nothing to go by. */
export type EarlierLooks = { readonly records: readonly ProducerRecord[] } | { readonly why: string };

/** By producer, where its absence does not count: what is missing for that. */
export type Unconfirmed = Readonly<Partial<Record<Producer, string>>>;

/**
 * Reads what earlier runs saw, and records what this one has seen.
 * @returns what is missing, of each producer that is not there
 */
export async function confirmAbsence(pruning: Reached, found: readonly Found[]): Promise<Unconfirmed> {
  const presences = found.find(({ surveyed }) => surveyed !== undefined)?.surveyed?.producers;
  if (presences === undefined) return {};
  const { journal, configuration, table } = pruning;
  const step = await journal.step<Looked>('operators', { guarded: false, quiet: true }, async () => {
    const at = new Date().toISOString();
    const earlier = await readEarlier(table, configuration.name);
    const problem = await record(table, configuration.name, at, presences);
    const gone = PRODUCER_NAMES.filter((producer) => presences[producer] === 'gone').map((producer) => ({
      producer,
      why: whatIsMissing(producer, earlier, Date.parse(at)),
    }));
    const said = gone.map(({ producer, why }) => `${producer} has no Deployment${why === undefined ? '' : `: ${why}`}`);
    const detail = [...said, ...(problem === undefined ? [] : [problem])].join('; ') || 'all are there, or not known';
    const data = Object.fromEntries(gone.flatMap(({ producer, why }) => (why === undefined ? [] : [[producer, why]])));
    return { outcome: problem === undefined ? 'done' : 'unknown', detail, data };
  });
  const isAbsent = Object.values(presences).includes('gone');
  if (isAbsent || step.outcome !== 'done') journal.note('operators', step);
  if (step.outcome === 'done' || step.outcome === 'unknown') return step.data;
  // Nobody has foreseen it: then nothing is confirmed.
  return Object.fromEntries(PRODUCER_NAMES.map((producer) => [producer, step.detail]));
}

interface Looked {
  readonly done: Unconfirmed;
  /** What was seen could not be recorded. */
  readonly unknown: Unconfirmed;
}

/**
 * Pure. This look counts as the second of the two.
 * @returns undefined: the absence counts
 */
export function whatIsMissing(producer: Producer, earlier: EarlierLooks, nowMs: number): string | undefined {
  if ('why' in earlier) return earlier.why;
  let newest: string | undefined;
  for (const { at, producers } of earlier.records) {
    const ageMs = nowMs - Date.parse(at);
    if (!(ageMs <= WITHIN_MS)) break;
    if (producers[producer] !== 'gone')
      return `it was still there at ${at}, and since then nobody has looked an hour ago or before`;
    if (ageMs >= APART_MS) return undefined;
    newest ??= at;
  }
  return newest === undefined
    ? 'nobody has looked before, within eight days'
    : `the only look before, of ${newest}, is less than an hour old`;
}

async function readEarlier(table: string | undefined, cluster: string): Promise<EarlierLooks> {
  if (table === undefined) return { why: 'there is no table here that earlier looks are recorded in' };
  try {
    return { records: await readProducers(table, cluster) };
  } catch (error) {
    return { why: describeError(error) };
  }
}

/** @returns why it could not be recorded, where it was to be */
async function record(
  table: string | undefined,
  cluster: string,
  at: string,
  presences: Readonly<Record<Producer, Presence>>,
): Promise<string | undefined> {
  const producers = perProducer((producer) => presences[producer]);
  if (table === undefined || !areKnown(producers)) return undefined;
  try {
    await recordProducers(table, cluster, { at, producers });
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** By a list that is not complete nobody is gone. */
function areKnown(presences: Readonly<Record<Producer, Presence>>): presences is ProducerRecord['producers'] {
  return PRODUCER_NAMES.every((producer) => presences[producer] !== 'unknown');
}
