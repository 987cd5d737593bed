// Runs a document's script as the agent of a node does: the lines as a file, the parameters as environment variables.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DocumentContent } from '../../lib/documents/document-content.ts';
import type { SsmNode } from './ssm-node.ts';

/** As the service hands it out: the first so many characters, and no more. */
const MAX_STDOUT = 24_000;
const MAX_STDERR = 8_000;

export interface ScriptEnd {
  /** Undefined: it was killed when its time was over. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for the scripts and the processes that run them. Both are gone after it is disposed of. */
export interface ScriptRunner extends AsyncDisposable {
  run(node: SsmNode, content: DocumentContent, parameters: Readonly<Record<string, string>>): Promise<ScriptEnd>;
}

export async function scriptRunner(): Promise<ScriptRunner> {
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-ssm-'));
  const running = new Set<ChildProcess>();
  const runs = new Set<Promise<ScriptEnd>>();
  let closed = false;
  let count = 0;

  async function begin(
    node: SsmNode,
    content: DocumentContent,
    parameters: Readonly<Record<string, string>>,
  ): Promise<ScriptEnd> {
    const { runCommand, timeoutSeconds } = content.mainSteps[0].inputs;
    const file = join(folder, `_script-${++count}.sh`);
    await writeFile(file, `${runCommand.join('\n')}\n`);
    if (closed) return { exitCode: undefined, stdout: '', stderr: '' };
    const child = spawn('/bin/sh', ['-c', `exec ${interpreter(runCommand[0])} "$0"`, file], {
      cwd: node.workingDirectory,
      // Nothing of this process's own environment: a script that needs more would fail on a node.
      env: { PATH: node.path, ...node.environment, ...environmentOf(parameters) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what the script started ends with it.
      detached: true,
    });
    running.add(child);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, Number(timeoutSeconds) * 1_000);
    try {
      const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
      const [code, signal]: [number | null, string | null] = await ended(child);
      return {
        exitCode: timedOut ? undefined : (code ?? (signal === null ? 1 : 137)),
        stdout: stdout().slice(0, MAX_STDOUT),
        stderr: stderr().slice(0, MAX_STDERR),
      };
    } finally {
      clearTimeout(timer);
      running.delete(child);
    }
  }

  return {
    run: (node, content, parameters) => {
      const end = begin(node, content, parameters).finally(() => runs.delete(end));
      runs.add(end);
      return end;
    },
    [Symbol.asyncDispose]: async () => {
      closed = true;
      for (const child of running) killGroup(child);
      // One may still be at writing its script, into the folder.
      await Promise.allSettled(runs);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What the agent sets where a parameter has the interpolation type `ENV_VAR`. */
export function environmentOf(parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`SSM_${name}`, value]));
}

/**
 * The agent runs the file itself, so that its first line counts. Here its interpreter is given the file: a file that
 * was just written can't be run while another process is being started ("text file busy").
 */
function interpreter(firstLine = ''): string {
  return /^#!(\S+( \S+)?)$/.exec(firstLine)?.[1] ?? '/bin/sh';
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

function ended(child: ChildProcess): Promise<[number | null, string | null]> {
  return once(child, 'close').then(([code, signal]) => [code, signal]);
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has just ended.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
