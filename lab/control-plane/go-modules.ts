// Builds etcd from its Go modules, for the versions that Debian does not have. Each is a folder of lab/servers: its
// exact versions and two main files.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
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
  readonly environment: Readonly<Record<string, string | undefined>>;
}

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
export async function goBuild(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  try {
    await promisify(execFile)('go', ['build', '-trimpath', '-buildvcs=false', ...args], {
      cwd: folder,
      // A workspace of somebody's own above the clone would choose other versions.
      env: { ...environment, GOWORK: 'off' },
      maxBuffer: 16 * 1024 * 1024,
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error('Go is missing: install it (https://go.dev/dl)', { cause: error });
    }
    throw new Error(`go build in ${relative(projectRoot, folder)}`, { cause: error });
  }
}

function folderOf(version: string): string {
  const { version: built, suffix } = SAYS_ANOTHER;
  return join(projectRoot, 'lab/servers', `etcd-${version.endsWith(suffix) ? built : version}`);
}
