// Builds servers from their Go modules: etcd of the versions that Debian does not have, and whoever else stands in
// lab/servers, a folder each: its exact versions and main files of a few lines.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../lib/bundling.ts';

export interface Build {
  readonly version: string;
  /**
   * An empty folder; `etcd`, `etcdctl` and `etcdutl` end up in `root/usr/bin` of it, as Debian's packages have them.
   */
  readonly into: string;
  readonly onProgress: (message: string) => void;
  readonly environment: Environment;
}

type Environment = Readonly<Record<string, string | undefined>>;

const SERVERS = join(projectRoot, 'lab/servers');
/** etcdutl is a main package of its own; it stands as a tool in each go.mod. */
const PACKAGES = ['./etcd', './etcdctl', 'go.etcd.io/etcd/etcdutl/v3'];

/**
 * What `3.5.5+lab` is made of: this code, which says in all that it is 3.5.5. For what a version is only to be told by,
 * where no real server of that version can be had.
 */
const SAYS_ANOTHER = { version: '3.5.35', suffix: '+lab' } as const;

/** Whether this version is one that is built here. */
export function isBuiltFromModules(version: string): boolean {
  return existsSync(join(folderOf(version), 'go.mod'));
}

/** Of a line as `3.7`, the newest that is built here. */
export function newestBuilt(line: string): string | undefined {
  const patches = readdirSync(SERVERS)
    .map((name) => name.split(`etcd-${line}.`))
    .flatMap(([before, patch]) => (before === '' && patch !== undefined ? Number(patch) : []));
  return patches.length > 0 ? `${line}.${Math.max(...patches)}` : undefined;
}

/**
 * Takes half a minute on two idle cores, minutes on busy ones, and the modules' download before it the first time.
 * @throws Error with what Go said, or that it is missing
 */
export async function buildEtcd({ version, into, onProgress, environment }: Build): Promise<void> {
  const bin = join(into, 'root/usr/bin');
  await mkdir(bin, { recursive: true });
  onProgress(`building etcd ${version} from its Go modules: half a minute to some minutes, once`);
  // Without the clone's own state in the binary: reading it needs git, which may not be there.
  const says = version.endsWith(SAYS_ANOTHER.suffix)
    ? ['-ldflags', `-X go.etcd.io/etcd/api/v3/version.Version=${version}`]
    : [];
  await goBuild(folderOf(version), [...says, '-o', `${bin}/`, ...PACKAGES], environment);
}

/**
 * `go build` in a folder of lab/servers, reproducible.
 * @throws Error with what Go said, or that it is missing
 */
export async function goBuild(folder: string, args: readonly string[], environment: Environment): Promise<void> {
  await runGo(folder, ['build', '-trimpath', '-buildvcs=false', ...args], environment);
}

/**
 * In a folder of lab/servers.
 * @returns what it printed
 * @throws Error with what Go said, or that it is missing
 */
export async function runGo(folder: string, args: readonly string[], environment: Environment): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('go', args, {
      cwd: folder,
      // A workspace of somebody's own above the clone would choose other versions.
      env: { ...environment, GOWORK: 'off' },
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error('Go is missing: install it (https://go.dev/dl)', { cause: error });
    }
    throw new Error(`go ${args[0]} in ${relative(projectRoot, folder)}`, { cause: error });
  }
}

function folderOf(version: string): string {
  const { version: built, suffix } = SAYS_ANOTHER;
  return join(SERVERS, `etcd-${version.endsWith(suffix) ? built : version}`);
}
