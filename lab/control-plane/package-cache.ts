// A package of Debian's unpacked into the cache folder, once for all processes, without root.
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadPackages } from './debian-packages.ts';
import { defaultCache } from './etcd-binaries.ts';
import { withFolderLock } from './folder-lock.ts';

/** Where `unpackIntoCache` puts it. */
export function cachedPackage(name: string, environment: Readonly<Record<string, string | undefined>>): string {
  return join(defaultCache(environment), name);
}

/**
 * Any version will do, and the oldest suite's runs on the most machines.
 * @param isThere whether what is in the package's folder is of use; where it is not, the package is fetched
 * @returns the package's folder
 * @throws Error with what the last source tried answered
 */
export async function unpackIntoCache(
  name: string,
  isThere: (folder: string) => Promise<boolean>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const cache = defaultCache(environment);
  const folder = cachedPackage(name, environment);
  await mkdir(cache, { recursive: true });
  await withFolderLock(join(cache, `${name}-lock`), async () => {
    if (await isThere(folder)) return;
    // Beside its last place, because a rename works within one file system only.
    const into = await mkdtemp(join(cache, '.fetch-'));
    try {
      await downloadPackages({
        packages: [name],
        version: '',
        orNewest: true,
        firstSuite: 'bookworm',
        into,
        onProgress: () => {},
        environment,
      });
      await rm(folder, { recursive: true, force: true });
      await rename(join(into, 'root'), folder);
    } finally {
      await rm(into, { recursive: true, force: true });
    }
  });
  if (!(await isThere(folder))) throw new Error(`the unpacked ${name} is of no use here`);
  return folder;
}
