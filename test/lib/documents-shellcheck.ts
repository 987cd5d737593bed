// Finds a shellcheck to run: one that this machine has, or Debian's package unpacked into the cache folder, without root.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { describeError, EtcdMedicError } from '../../functions/run/errors.ts';
import { downloadPackages } from '../control-plane/debian-packages.ts';
import { defaultCache } from '../control-plane/etcd-binaries.ts';
import { withFolderLock } from '../control-plane/folder-lock.ts';

/** There is no shellcheck here, and none could be fetched; the message says what to install or set. */
export class ShellcheckNotFoundError extends EtcdMedicError {
  override readonly name = 'ShellcheckNotFoundError';
}

/**
 * `SHELLCHECK_BIN`, then `shellcheck` on PATH, then the cache, then a fetch.
 * @returns the path of a shellcheck that runs
 * @throws ShellcheckNotFoundError in one line
 */
export async function findShellcheck(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string> {
  const chosen = environment.SHELLCHECK_BIN;
  if (chosen) {
    if (await runs(chosen)) return chosen;
    throw new ShellcheckNotFoundError(`SHELLCHECK_BIN is ${chosen}, but no shellcheck that runs is there`);
  }
  const cache = defaultCache(environment);
  const folder = join(cache, 'shellcheck');
  const cached = join(folder, 'usr/bin/shellcheck');
  const onPath = (environment.PATH ?? '')
    .split(delimiter)
    .filter(isAbsolute)
    .map((each) => join(each, 'shellcheck'));
  for (const file of [...onPath, cached]) if (await runs(file)) return file;
  try {
    await mkdir(cache, { recursive: true });
    await withFolderLock(join(cache, 'shellcheck-lock'), async () => {
      if (await runs(cached)) return;
      const into = await mkdtemp(join(cache, '.fetch-'));
      try {
        // Any version will do, and the oldest suite's runs on the most machines.
        const packages = ['shellcheck'];
        const onProgress = () => {};
        await downloadPackages({
          packages,
          version: '',
          orNewest: true,
          firstSuite: 'bookworm',
          into,
          onProgress,
          environment,
        });
        await rm(folder, { recursive: true, force: true });
        await rename(join(into, 'root'), folder);
      } finally {
        await rm(into, { recursive: true, force: true });
      }
    });
    if (!(await runs(cached))) throw new Error('the unpacked shellcheck does not run here');
    return cached;
  } catch (error) {
    const why = describeError(error).replace(/\s+/g, ' ');
    throw new ShellcheckNotFoundError(
      `shellcheck is not on this machine and could not be fetched (${why}): install it or set SHELLCHECK_BIN to its path`,
      { cause: error },
    );
  }
}

async function runs(file: string): Promise<boolean> {
  return promisify(execFile)(file, ['--version']).then(
    () => true,
    () => false,
  );
}
