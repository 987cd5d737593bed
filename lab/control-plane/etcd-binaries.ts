// Finds an etcd to run: one that this machine has, Debian's package unpacked into a cache folder, or one built from its
// Go modules. Without root.
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import { downloadEtcd } from './debian-packages.ts';
import { withFolderLock } from './folder-lock.ts';
import { buildEtcd, isBuiltFromModules, newestBuilt } from './go-modules.ts';

/** Absolute paths of executables. */
export interface EtcdBinaries {
  /** As `etcd --version` says it: `3.5.30`. */
  readonly version: string;
  readonly etcd: string;
  readonly etcdctl: string | undefined;
  /** From 3.5 on. */
  readonly etcdutl: string | undefined;
}

export interface FindEtcdOptions {
  /** Told what takes long, in one line each. @default nobody is told */
  readonly onProgress?: (message: string) => void;
  /** Where fetched versions are kept. @default `$XDG_CACHE_HOME` or `~/.cache`, then `etcd-medic` */
  readonly cacheDirectory?: string;
  /** @default process.env */
  readonly environment?: Environment;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** There is no etcd of that version, and none could be fetched; the message says what to install or set. */
export class EtcdNotFoundError extends EtcdMedicError {
  override readonly name = 'EtcdNotFoundError';
}

/** What kubeadm's current releases are nearest to, of what Debian has. */
const DEFAULT_VERSION = '3.5.30';
/** Debian's own; the others' are built. */
const OF_LINES: Readonly<Record<string, string>> = { '3.4': '3.4.23', '3.5': DEFAULT_VERSION };
const ANY_VERSION = 'etcd-any';

/**
 * Without a version: `ETCD_BIN` (an etcd, or a folder with one), then `etcd` on PATH, then the cache, then a fetch of
 * 3.5.30 or, if that is gone, of the newest. With a version: the first of these that is exactly that version; those
 * that lab/servers has are built from their Go modules instead of fetched. Several processes may call it at the same
 * time: one fetches, the others wait.
 * @param asked `3.7.3`, or a line: `3.7`. @default `ETCD_VERSION` of the environment, if it is set
 * @throws EtcdNotFoundError
 */
export async function findEtcd(asked?: string, options: FindEtcdOptions = {}): Promise<EtcdBinaries> {
  const {
    onProgress = () => {},
    environment = process.env,
    cacheDirectory: cache = defaultCache(environment),
  } = options;
  const version = versionAsked(asked, environment);
  const found = await foundEtcd(version, { ...options, environment });
  if (found) return found;
  const wanted = version ?? DEFAULT_VERSION;
  const look = () => inCache(version, cache);
  try {
    await mkdir(cache, { recursive: true });
    // One for each version: nobody who wants Debian's waits while another is built.
    return await withFolderLock(join(cache, `lock-${wanted}`), async () => {
      const fetchedMeanwhile = await look();
      if (fetchedMeanwhile) return fetchedMeanwhile;
      // Beside its last place, because a rename works within one file system only.
      const unpacked = await mkdtemp(join(cache, '.fetch-'));
      try {
        const made = { version: wanted, into: unpacked, onProgress, environment };
        if (isBuiltFromModules(wanted)) await buildEtcd(made);
        else await downloadEtcd({ ...made, orNewest: !version });
        const root = join(unpacked, 'root');
        const found = await inspect(join(root, 'usr/bin/etcd'));
        if (!found) throw new Error('the unpacked etcd does not run here');
        const folder = join(cache, found.version === wanted ? `etcd-${wanted}` : ANY_VERSION);
        await rm(folder, { recursive: true, force: true });
        await rename(root, folder);
      } finally {
        await rm(unpacked, { recursive: true, force: true });
      }
      const fetched = await look();
      if (!fetched) throw new Error(`the fetched etcd is not version ${wanted}`);
      return fetched;
    });
  } catch (error) {
    const what = version ? `etcd ${version}` : 'etcd';
    const [not, install] = isBuiltFromModules(wanted)
      ? ['built', 'make that build work']
      : ['fetched', 'install it (apt-get install etcd-server etcd-client)'];
    throw new EtcdNotFoundError(
      `${what} is not on this machine and could not be ${not} (${oneLine(describeError(error))}): ` +
        `${install} or set ETCD_BIN to the path of an etcd${version ? ` ${version}` : ''}`,
      { cause: error },
    );
  }
}

function versionAsked(asked: string | undefined, { ETCD_VERSION }: Environment): string | undefined {
  const version = asked ?? (ETCD_VERSION || undefined);
  if (version === undefined || !/^\d+\.\d+$/.test(version)) return version;
  return OF_LINES[version] ?? newestBuilt(version) ?? version;
}

/**
 * As findEtcd, without fetching or building.
 * @throws EtcdNotFoundError where ETCD_BIN is wrong
 */
export async function foundEtcd(asked?: string, options: FindEtcdOptions = {}): Promise<EtcdBinaries | undefined> {
  const { environment = process.env, cacheDirectory = defaultCache(environment) } = options;
  const version = versionAsked(asked, environment);
  const chosen = environment.ETCD_BIN;
  if (chosen) {
    const folder = (await stat(chosen).catch(() => undefined))?.isDirectory();
    const found = await inspect(folder ? join(chosen, 'etcd') : chosen);
    if (!found)
      throw new EtcdNotFoundError(`ETCD_BIN is ${chosen}, but no etcd that runs is there: correct it or unset it`);
    if (!version || found.version === version) return found;
  }
  for (const directory of (environment.PATH ?? '').split(delimiter).filter(isAbsolute)) {
    const found = await inspect(join(directory, 'etcd'));
    if (found && (!version || found.version === version)) return found;
  }
  return inCache(version, cacheDirectory);
}

async function inCache(version: string | undefined, cache: string): Promise<EtcdBinaries | undefined> {
  const exact = await inspect(join(cache, `etcd-${version ?? DEFAULT_VERSION}`, 'usr/bin/etcd'));
  // What was fetched as "any" turned out to be another version.
  return exact ?? (version ? undefined : inspect(join(cache, ANY_VERSION, 'usr/bin/etcd')));
}

/** The etcd at this path with what lies beside it; undefined where nothing is there or it doesn't run. */
async function inspect(etcd: string): Promise<EtcdBinaries | undefined> {
  if (!(await executable(etcd))) return undefined;
  const { stdout } = await promisify(execFile)(etcd, ['--version']).catch(() => ({ stdout: '' }));
  const version = /etcd Version: (\S+)/.exec(stdout)?.[1];
  if (!version) return undefined;
  const [etcdctl, etcdutl] = await Promise.all(
    ['etcdctl', 'etcdutl'].map(async (name) => {
      const path = join(dirname(etcd), name);
      return (await executable(path)) ? path : undefined;
    }),
  );
  return { version, etcd, etcdctl, etcdutl };
}

function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** `$XDG_CACHE_HOME` or `~/.cache`, then `etcd-medic`. */
export function defaultCache(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment.XDG_CACHE_HOME;
  // The XDG specification: a relative path is to be ignored.
  return join(base && isAbsolute(base) ? base : join(homedir(), '.cache'), 'etcd-medic');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
