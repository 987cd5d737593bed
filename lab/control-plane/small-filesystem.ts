// A really small filesystem, for what happens when a disk is full: a tmpfs of so many bytes. Only root may mount one.
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import { onProcessEnd } from './process-end.ts';

/** This process may not mount filesystems; the message says why, and what to do. */
export class MountNotPermittedError extends EtcdMedicError {
  override readonly name = 'MountNotPermittedError';
}

export interface SmallFilesystem extends AsyncDisposable {
  /**
   * Its only folder, empty. It goes when this is disposed of; whatever has a file open there must have ended before.
   */
  readonly directory: string;
}

const run = promisify(execFile);
/** The smallest that says whether one may be mounted at all. */
const TRIAL_BYTES = 64 * 1024;

/**
 * Mounts one. etcd allocates 64 MiB for its log at once, and 64 MiB more for the next one: a member needs 128 MiB
 * beside its database.
 * @throws MountNotPermittedError
 */
export async function smallFilesystem(bytes: number): Promise<SmallFilesystem> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'etcd-medic', directory]);
  } catch (error) {
    await rmdir(directory);
    throw new MountNotPermittedError(
      `a filesystem of ${bytes} bytes could not be mounted (${describeError(error).trim()}): run it as root, in a container with --cap-add SYS_ADMIN`,
      { cause: error },
    );
  }
  // Lazily: a member that is still being killed has files open there.
  const forget = onProcessEnd(() => spawnSync('sh', ['-c', 'umount -l "$0" && rmdir "$0"', directory]));
  return {
    directory,
    [Symbol.asyncDispose]: async () => {
      await run('umount', [directory]);
      forget();
      await rmdir(directory);
    },
  };
}

/** @returns why `smallFilesystem` would throw here, for a test that has to be skipped then; undefined where it works */
export async function whyNoSmallFilesystem(): Promise<string | undefined> {
  try {
    await using _ = await smallFilesystem(TRIAL_BYTES);
    return undefined;
  } catch (error) {
    if (error instanceof MountNotPermittedError) return error.message;
    throw error;
  }
}
