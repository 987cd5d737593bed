// Which versions of etcd tests can run here. What has to be left out is said, never passed over.
import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { type FindEtcdOptions, findEtcd, foundEtcd } from './etcd-binaries.ts';
import { isBuiltFromModules } from './go-modules.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Of these versions those that a test can be given. Debian's are fetched when a plane starts, so they are all there or
 * the test fails. One that is built from the Go modules is built now: for the top of a test file, since no hook has the
 * time for it. Where neither it nor Go is on this machine it is left out.
 * @param options.onProgress told of each that is left out, and of each build. @default standard error
 * @throws EtcdNotFoundError where a build fails
 */
export async function versionsHere(
  versions: readonly string[],
  options: FindEtcdOptions = {},
): Promise<readonly string[]> {
  const { onProgress = console.warn, environment = process.env } = options;
  const here: string[] = [];
  for (const version of versions) {
    const built = isBuiltFromModules(version);
    if (built && !(await foundEtcd(version, options)) && !(await hasGo(environment))) {
      onProgress(
        `etcd ${version} is LEFT OUT: it is built from its Go modules, and Go is not on PATH (https://go.dev/dl)`,
      );
      continue;
    }
    if (built) await findEtcd(version, { ...options, onProgress });
    here.push(version);
  }
  return here;
}

/** Whether it is on PATH. */
export async function hasGo({ PATH = '' }: Environment): Promise<boolean> {
  for (const directory of PATH.split(delimiter).filter(isAbsolute)) {
    const runs = await access(join(directory, 'go'), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return true;
  }
  return false;
}
