// `invoke contents`: what an etcd database is full of, from a file at hand or from a member's Snapshot stream, which is
// stored nowhere.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ContentsReader } from '../functions/contents/contents.ts';
import { bytesOf, type Contents, type KindWriters, type Tally } from '../functions/contents/types.ts';
import { describeError, InvalidInputError } from '../functions/contract/errors.ts';
import { formatBytes } from '../functions/contract/report.ts';
import { SnapshotCorruptError, verifiedSnapshot } from '../functions/etcd/snapshot.ts';
import type { SnapshotChunk } from '../functions/etcd/types.ts';

const USAGE = 'npm run -s invoke -- contents <--file SNAPSHOT|--config cluster.json>';

export const CONTENTS_HELP = `${USAGE}

Tells what an etcd database is full of, to the last byte: by kind and namespace what is live, history and deleted, who
writes it, the largest objects, and what is no data. Standard output is one JSON document with bytes as plain numbers,
standard error a table for people.

  --file SNAPSHOT  a file of etcdctl's or etcd-medic's, or a copy of a member's own (member/snap/db)
  --config FILE    one cluster's configuration: a healthy follower is asked for its Snapshot stream, which is read and
                   not stored. Changes nothing; the member does not defragment meanwhile
  --prefix PREFIX  what kube-apiserver's keys begin with (its --etcd-prefix). Default: kubernetes.etcdPrefix of the
                   configuration, /registry
  --help           this text

Exit code: 0 told, 1 not.
`;

/** As `etcdctl snapshot save` writes them: whole pages, and a SHA-256. */
const SMALLEST_PAGE = 1024;
const TRAILER_BYTES = 32;
const READ_BYTES = 1024 * 1024;
const KINDS_SHOWN = 20;
const LONGEST_WRITER = 40;

export interface ToldContents extends Contents {
  /** As it was named. */
  readonly file?: string;
  readonly cluster?: string;
  /** Whose stream was read. */
  readonly member?: { readonly id: string; readonly name: string; readonly version: string };
}

/** @throws InvalidInputError, ContentsError, EtcdError and what else stands in the way */
export async function contentsCommand(args: readonly string[]): Promise<ToldContents> {
  const { file, config, prefix } = readArguments(args);
  const told = file === undefined ? await fromMember(config, prefix) : await fromFile(file, prefix);
  // Keys are whatever anybody has written.
  process.stderr.write(`${tableOf(told).replace(/[^\P{C}\n]/gu, '?')}\n`);
  return told;
}

function readArguments(args: readonly string[]) {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({ args: [...args], options: { file: text, config: text, prefix: text } });
    const { file, config, prefix } = values;
    if (file !== undefined && config === undefined) return { file, config: '', prefix };
    if (config !== undefined && file === undefined) return { file, config, prefix };
    throw new Error(`--file and --config: found ${file === undefined ? 'none' : 'both'}`);
  } catch (cause) {
    throw new InvalidInputError('command line', [`${describeError(cause)}; expected ${USAGE}`]);
  }
}

async function fromFile(file: string, prefix: string | undefined): Promise<ToldContents> {
  const reader = new ContentsReader({ root: rootOf(prefix), hashes: false });
  const { size } = await stat(file).catch((cause: unknown) => {
    throw new InvalidInputError(file, ['found no file that can be read, expected a snapshot'], { cause });
  });
  const stream: AsyncIterable<Buffer> = createReadStream(file, { highWaterMark: READ_BYTES });
  const isSnapshot = size % SMALLEST_PAGE === TRAILER_BYTES;
  try {
    for await (const piece of isSnapshot ? verifiedSnapshot(asChunks(stream, size)) : stream) reader.write(piece);
    return { file, ...reader.end() };
  } catch (cause) {
    const problem =
      cause instanceof SnapshotCorruptError ? 'the SHA-256 behind it is not that of the bytes before it' : '';
    throw new InvalidInputError(file, [problem || describeError(cause)], { cause: problem ? undefined : cause });
  }
}

async function* asChunks(stream: AsyncIterable<Buffer>, size: number): AsyncGenerator<SnapshotChunk> {
  let remainingBytes = size - TRAILER_BYTES;
  for await (const bytes of stream) {
    remainingBytes = Math.max(0, remainingBytes - bytes.length);
    yield { bytes, remainingBytes };
  }
}

async function fromMember(config: string, prefix: string | undefined): Promise<ToldContents> {
  // A file needs none of their clients.
  const [{ readConfiguration }, { ProbeMemory }, { discoverMembers }, { findSource }] = await Promise.all([
    import('./read-configuration.ts'),
    import('../functions/probe/sources.ts'),
    import('../functions/etcd/discovery.ts'),
    import('../functions/control-plane/snapshot.ts'),
  ]);
  const configuration = await readConfiguration(config);
  const sources = new ProbeMemory();
  const [endpoints, tls] = await Promise.all([sources.endpoints(configuration), sources.tls(configuration)]);
  await using cluster = await discoverMembers({ endpoints: endpoints.value, ...(tls.value && { tls: tls.value }) });
  const voters = cluster.members.filter(({ isLearner }) => !isLearner);
  const { id, name, client, status } = await findSource({ cluster, voters });
  process.stderr.write(`reading the Snapshot stream of ${name}, ${formatBytes(status.dbSize)} …\n`);
  const reader = new ContentsReader({
    root: rootOf(prefix ?? configuration.kubernetes?.etcdPrefix),
    hashes: false,
  });
  for await (const piece of verifiedSnapshot(client.snapshot())) reader.write(piece);
  return { cluster: configuration.name, member: { id, name, version: status.version }, ...reader.end() };
}

function rootOf(prefix: string | undefined): string | undefined {
  return prefix === undefined ? undefined : `${prefix.replace(/\/+$/, '')}/`;
}

function tableOf(contents: Contents): string {
  const { bytes, kinds, buckets, rest, largest } = contents;
  const share = (part: number) => `${((100 * part) / bytes).toFixed(1)} %`;
  const row = (name: string, tally: Tally, writers?: KindWriters) => [
    name,
    `${tally.keys}`,
    formatBytes(tally.liveBytes),
    formatBytes(tally.historyBytes + tally.tombstoneBytes),
    share(bytesOf(tally)),
    writerOf(writers),
  ];
  const [shown, others] = [kinds.slice(0, KINDS_SHOWN), kinds.slice(KINDS_SHOWN)];
  const sum = (tallies: readonly Tally[], of: (tally: Tally) => number) =>
    tallies.reduce((all, each) => all + of(each), 0);
  const plain = (name: string, part: number) => [name, '', formatBytes(part), '', share(part)];
  const { freePages, ...around } = rest;
  const rows = [
    ['', 'keys', 'live', 'history', 'of the file', 'written by'],
    ...shown.map((kind) => row(kind.resource, kind, kind.writers)),
    ...(others.length === 0
      ? []
      : [
          [
            `${others.length} other kinds`,
            `${sum(others, ({ keys }) => keys)}`,
            formatBytes(sum(others, ({ liveBytes }) => liveBytes)),
            formatBytes(sum(others, (tally) => tally.historyBytes + tally.tombstoneBytes)),
            share(sum(others, bytesOf)),
          ],
        ]),
    plain('free pages', freePages),
    plain(
      'pages around the data',
      Object.values(around).reduce((a, b) => a + b, 0),
    ),
    plain(
      "etcd's own",
      buckets.reduce((all, bucket) => all + bucket.bytes, 0),
    ),
    ['the file', `${contents.total.keys}`, formatBytes(bytes), '', '100 %'],
  ];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 || column === 5 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
  const [first] = largest;
  const biggest =
    first === undefined ? '' : `\nlargest object: ${first.key ?? first.resource}, ${formatBytes(first.bytes)}`;
  return `${lines.join('\n')}${biggest}`;
}

/** Who made most of a kind's newest writes. */
function writerOf(writers: KindWriters | undefined): string {
  if (writers === undefined) return '';
  const [first] = writers.managers;
  if (first !== undefined) return first.manager.slice(0, LONGEST_WRITER);
  return writers.encrypted === writers.writes ? '(encrypted)' : '';
}
