// What Go's own regexp makes of a pattern, where Go is on this machine: the SSM agent reads patterns with it.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod/mini';
import { projectRoot } from '../../lib/bundling.ts';

const run = promisify(execFile);

export interface PatternQuestion {
  readonly pattern: string;
  readonly values: readonly string[];
}

const answers = z.array(
  z.union([z.object({ error: z.string() }), z.object({ matches: z._default(z.array(z.boolean()), []) })]),
);
export type PatternAnswer = z.output<typeof answers>[number];

/** @returns its version; undefined: there is no Go on PATH, and what asks it is left out */
export async function goVersion(): Promise<string | undefined> {
  return await run('go', ['env', 'GOVERSION']).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

/**
 * Builds lab/servers/patterns, which needs nothing but Go itself, and asks it.
 * @returns an answer a question, in their order
 */
export async function askGo(questions: readonly PatternQuestion[]): Promise<readonly PatternAnswer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-go-'));
  try {
    const program = join(folder, 'patterns');
    const environment = { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local' };
    const cwd = join(projectRoot, 'lab/servers/patterns');
    await run('go', ['build', '-o', program, '.'], { cwd, env: environment });
    const asking = run(program, { maxBuffer: 64 * 1024 * 1024 });
    asking.child.stdin?.end(JSON.stringify(questions));
    return answers.parse(JSON.parse((await asking).stdout));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
