import { existsSync } from 'node:fs';
import { statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { putThrough } from '../../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import { smallFilesystem, whyNoSmallFilesystem } from '../../../lab/control-plane/small-filesystem.ts';

const MiB = 1024 * 1024;

const reason = await whyNoSmallFilesystem();
if (reason !== undefined) console.warn(`not tested here: ${reason}`);

describe.skipIf(reason !== undefined)('a small filesystem', () => {
  it('holds no more than its bytes, and leaves nothing behind', async () => {
    let directory = '';
    {
      await using disk = await smallFilesystem(MiB);
      directory = disk.directory;

      const { blocks, bsize } = await statfs(directory);
      const writing = writeFile(join(directory, 'large'), Buffer.alloc(2 * MiB));

      expect(blocks * bsize).toBe(MiB);
      await expect(writing).rejects.toMatchObject({ code: 'ENOSPC' });
    }
    expect(existsSync(directory)).toBe(false);
  });

  it("holds one member's data, which the node finds where etcd's data is, and outlives the plane", async () => {
    await using disk = await smallFilesystem(160 * MiB);
    const plane = await startControlPlane({ nodes: true, tls: false, dataDirectories: { 'cp-2': disk.directory } });
    try {
      const put = await putThrough(plane, plane.member('cp-2').endpoint);
      const { blocks, bsize } = await statfs(join(plane.node('cp-2').root, 'var/lib/etcd/member/snap'));

      expect(put).toMatchObject({ ok: true });
      expect(blocks * bsize).toBe(160 * MiB);
    } finally {
      await plane.stop();
    }
    expect(existsSync(join(disk.directory, 'member/snap/db'))).toBe(true);
  });
});

it('is refused for a member that there is not', async () => {
  const starting = startControlPlane({ members: 1, tls: false, dataDirectories: { 'cp-7': '/tmp' } });

  await expect(starting).rejects.toThrow(/no member cp-7/);
});
