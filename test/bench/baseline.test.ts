// The benchmarks' `--baseline`: another checkout is measured beside this one. Small sizes: what they print is not
// looked at for its figures.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, inTurns } from '../../bench/checkouts.ts';
import { findEtcd } from '../../lab/control-plane/etcd-binaries.ts';

const root = new URL('../..', import.meta.url).pathname;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'etcd-medic-bench-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(name: string, ...args: string[]): Promise<Ended> {
  return findEtcd().then(
    ({ etcd }) =>
      new Promise((resolve) => {
        execFile(
          process.execPath,
          [join(root, 'bench', `${name}.ts`), ...args],
          // What it keeps between runs lies in the cache, where another one may be at work.
          { cwd: directory, env: { ...process.env, ETCD_BIN: etcd, XDG_CACHE_HOME: directory } },
          (error, stdout, stderr) =>
            resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
        );
      }),
  );
}

/** A checkout that is this one, and takes a note each time that it is run. */
async function noting(): Promise<{ readonly checkout: string; readonly notes: string }> {
  const checkout = join(directory, 'other');
  const notes = join(directory, 'notes');
  await mkdir(join(checkout, 'bin'), { recursive: true });
  await mkdir(join(checkout, 'node_modules'));
  await writeFile(join(checkout, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(checkout, 'bin/invoke.ts'),
    `import { appendFileSync, readFileSync } from 'node:fs';
     const configuration = JSON.parse(readFileSync(process.argv[4], 'utf8'));
     const fields = Object.keys(configuration).sort().join(', ');
     appendFileSync(${JSON.stringify(notes)}, process.argv[2] + ' in ' + process.cwd() + ' with ' + fields + '\\n');
     await import(${JSON.stringify(join(root, 'bin/invoke.ts'))});`,
  );
  return { checkout, notes };
}

describe('a benchmark with --baseline', () => {
  it('runs the other checkout from its own sources, in turns with this one, and sets them side by side', async () => {
    const { checkout, notes } = await noting();

    const { exitCode, stdout, stderr } = await bench(
      'recover',
      ...['--baseline', checkout, '--runs', '1', '--quota-mib', '16', '--settle-seconds', '0'],
    );

    expect(exitCode, stderr).toBe(0);
    const order = [...stdout.matchAll(/^(\S+), run (\d)/gm)].map(([, name, turn]) => `${name} ${turn}`);
    expect(order).toEqual(['etcd-medic 1', 'baseline 1']);
    expect(stdout.match(/^ {2}recovered;/gm)).toHaveLength(2);
    expect(stdout).toMatch(/^first write: etcd-medic \S+ s \(.*\), baseline \S+ s \(.*\): \d+\.\d{3} × the baseline/m);
    expect(await readFile(notes, 'utf8')).toBe(
      // Nothing that only today's version knows, as the defaults of its own fields would be.
      `recover in ${checkout} with etcd, name, recover\n`,
    );
  });

  it.each(['recover', 'maintain', 'snapshot', 'cold'])(
    'says what is missing before anything is started: %s',
    async (name) => {
      const { exitCode, stdout, stderr } = await bench(name, '--baseline', join(directory, 'nowhere'));

      expect(exitCode).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/--baseline: found .*nowhere without bin\/invoke\.ts, expected another checkout/);
    },
  );
});

describe('the comparison', () => {
  it('has medians, from the least to the most, and their ratio', () => {
    const line = compare('time', [3, 1, 2], [4, 8, 4], (figure) => `${figure} s`);

    expect(line).toBe(
      'time: etcd-medic 2 s (1 s to 3 s), baseline 4 s (4 s to 8 s): 0.500 × the baseline, medians of 3 and 3',
    );
  });

  it('lets each contestant begin as often as the others', () => {
    expect([1, 2, 3, 4].map((turn) => inTurns(['a', 'b', 'c'], turn).join(''))).toEqual(['abc', 'bca', 'cab', 'abc']);
  });
});
