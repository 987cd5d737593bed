// What bbolt itself and etcd's own types make of a database file: lab/servers/contents, built once a process.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod/mini';
import { projectRoot } from '../../lib/bundling.ts';
import { goBuild } from './go-modules.ts';
import { onProcessEnd } from './process-end.ts';

const tally = {
  keys: z.number(),
  liveBytes: z.number(),
  leased: z.number(),
  versions: z.number(),
  newVersions: z.number(),
  revisions: z.number(),
  historyBytes: z.number(),
  tombstones: z.number(),
  tombstoneBytes: z.number(),
};
const judgementSchema = z.object({
  bytes: z.number(),
  pageSize: z.number(),
  revision: z.string(),
  total: z.object(tally),
  kinds: z.array(
    z.object({ prefix: z.string(), ...tally, namespaces: z.array(z.object({ namespace: z.string(), ...tally })) }),
  ),
  /** All live ones, the largest first. */
  largest: z.array(z.object({ key: z.string(), bytes: z.number() })),
  buckets: z.array(z.object({ name: z.string(), keys: z.number(), bytes: z.number() })),
  rest: z.record(z.string(), z.number()),
});
export type Judgement = z.output<typeof judgementSchema>;

let built: Promise<string> | undefined;

/**
 * Needs Go, and the modules of etcd 3.7.3 from its proxy the first time.
 * @param file of etcd's; one that is damaged is not for bbolt
 * @param since keys that came after this revision are new
 */
export async function judgeContents(file: string, since: number): Promise<Judgement> {
  built ??= build();
  const { stdout } = await promisify(execFile)(await built, [file, String(since)], { maxBuffer: 256 * 1024 * 1024 });
  return judgementSchema.parse(JSON.parse(stdout));
}

async function build(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-judge-'));
  onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'contents');
  await goBuild(join(projectRoot, 'lab/servers/contents'), ['-o', program, '.'], process.env);
  return program;
}
