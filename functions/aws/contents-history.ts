// What each copy of a cluster's database was full of, in the state table: an item a copy, of a few kB.
import { type KeptContents, keptContentsSchema } from '../contract/contents.ts';
import { tryJson } from '../contract/json.ts';
import { CONTENTS_RECORD } from './history.ts';
import { newestRecords } from './records.ts';

/** Two weeks of nights, with some recoveries among them. */
const MOST_READ = 20;

export interface ReadContents {
  /** Newest first. */
  readonly nights: readonly KeptContents[];
  /** Of another version, or not a record at all. */
  readonly unreadable: number;
}

/**
 * @param cluster its name
 * @throws SetupError when there is no such table or it must not be read
 * @throws HistoryError when the table did not answer
 */
export async function readContentsHistory(table: string, cluster: string): Promise<ReadContents> {
  const items = await newestRecords(
    table,
    { cluster, prefix: CONTENTS_RECORD, attributes: ['contents'], most: MOST_READ },
    `history of ${cluster} in table ${table}: earlier contents could not be read`,
  );
  const nights = items.flatMap(({ contents }) => keptContentsSchema.safeParse(tryJson(contents?.S ?? '')).data ?? []);
  return { nights, unreadable: items.length - nights.length };
}
