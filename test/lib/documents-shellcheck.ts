// Finds a shellcheck to run: one that this machine has, or Debian's package unpacked into the cache folder, without
// root.
import { execFile } from 'node:child_process';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import { cachedPackage, unpackIntoCache } from '../../lab/control-plane/package-cache.ts';

/** There is no shellcheck here, and none could be fetched; the message says what to install or set. */
class ShellcheckNotFoundError extends EtcdMedicError {
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
  const cached = inPackage(cachedPackage('shellcheck', environment));
  const onPath = (environment.PATH ?? '')
    .split(delimiter)
    .filter(isAbsolute)
    .map((each) => join(each, 'shellcheck'));
  for (const file of [...onPath, cached]) if (await runs(file)) return file;
  try {
    return inPackage(await unpackIntoCache('shellcheck', (folder) => runs(inPackage(folder)), environment));
  } catch (error) {
    const why = describeError(error).replace(/\s+/g, ' ');
    throw new ShellcheckNotFoundError(
      `shellcheck is not on this machine and could not be fetched (${why}): install it or set SHELLCHECK_BIN to its path`,
      { cause: error },
    );
  }
}

function inPackage(folder: string): string {
  return join(folder, 'usr/bin/shellcheck');
}

async function runs(file: string): Promise<boolean> {
  return promisify(execFile)(file, ['--version']).then(
    () => true,
    () => false,
  );
}
