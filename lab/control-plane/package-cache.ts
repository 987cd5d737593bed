// What takes long to get, kept in the cache folder: made once for all processes, without root.
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadPackages } from './debian-packages.ts';
import { defaultCache } from './etcd-binaries.ts';
import { withFolderLock } from './folder-lock.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where it is kept under this name. */
export function cachedPackage(name: string, environment: Environment): string {
  return join(defaultCache(environment), name);
}

/**
 * @param isThere whether what is in the folder is of use; where it is not, it is made
 * @param make into `root` of the folder that it is given, which is empty
 * @returns the folder
 * @throws Error where what was made is of no use; what `make` throws
 */
export async function keptInCache(
  name: string,
  isThere: (folder: string) => Promise<boolean>,
  make: (into: string) => Promise<void>,
  environment: Environment,
): Promise<string> {
  const cache = defaultCache(environment);
  const folder = cachedPackage(name, environment);
  if (await isThere(folder)) return folder;
  await mkdir(cache, { recursive: true });
  await withFolderLock(join(cache, `${name}-lock`), async () => {
    if (await isThere(folder)) return;
    // Beside its last place, because a rename works within one file system only.
    const into = await mkdtemp(join(cache, '.fetch-'));
    try {
      await make(into);
      await rm(folder, { recursive: true, force: true });
      await rename(join(into, 'root'), folder);
    } finally {
      await rm(into, { recursive: true, force: true });
    }
  });
  if (!(await isThere(folder))) throw new Error(`${name} is in ${folder}, and of no use here`);
  return folder;
}

/**
 * A package of Debian's. Any version will do, and the oldest suite's runs on the most machines.
 * @returns the package's folder, see `keptInCache`
 * @throws Error with what the last source tried answered
 */
export async function unpackIntoCache(
  name: string,
  isThere: (folder: string) => Promise<boolean>,
  environment: Environment,
): Promise<string> {
  const fetch = (into: string) =>
    downloadPackages({
      packages: [name],
      version: '',
      orNewest: true,
      firstSuite: 'bookworm',
      into,
      onProgress: () => {},
      environment,
    });
  return keptInCache(name, isThere, fetch, environment);
}
