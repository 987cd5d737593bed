// A lock between processes: a folder that only one of them can make.
import { mkdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

const TOUCH_EVERY_MS = 2_000;
/** Its owner touches it all the while; one that wasn't touched for so long belongs to a process that is gone. */
const STALE_AFTER_MS = 30_000;
const LOOK_EVERY_MS = 100;

/**
 * Runs `work` while holding the lock, waiting for it as long as its owner lives. A lock left by a killed process is
 * taken over. Two processes that take over at the very same moment may both hold it: what they do must bear that (here:
 * a rename into place).
 */
export async function withFolderLock<Result>(
  folder: string,
  work: () => Promise<Result>,
  staleAfterMs = STALE_AFTER_MS,
): Promise<Result> {
  while (!(await make(folder))) {
    if (await isStale(folder, staleAfterMs)) await moveAway(folder);
    else await wait(LOOK_EVERY_MS);
  }
  const touch = setInterval(() => {
    const now = new Date();
    // Gone means taken over, after this process was stopped for long; `work` then ends as that process's does.
    utimes(folder, now, now).catch(() => clearInterval(touch));
  }, TOUCH_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    await rm(folder, { recursive: true, force: true });
  }
}

async function make(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function isStale(folder: string, staleAfterMs: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(folder)).mtimeMs > staleAfterMs;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** A rename succeeds for one process only, where a removal would succeed for all and hit the next owner's lock. */
async function moveAway(folder: string): Promise<void> {
  const aside = `${folder}.${process.pid}.${Date.now()}`;
  try {
    await rename(folder, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
