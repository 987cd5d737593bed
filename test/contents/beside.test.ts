// The copy comes first: whatever becomes of its contents' telling, all of its bytes go on, and nothing is thrown.
import { describe, expect, it } from 'vitest';
import { ContentsBeside } from '../../functions/contents/beside.ts';
import { readContents } from '../../functions/contents/contents.ts';
import { inPieces, smallSnapshot } from './small.ts';

const file = smallSnapshot();

async function copy(source: AsyncIterable<Buffer>) {
  const beside = new ContentsBeside({ at: '2026-03-02T02:30:00.000Z', revision: 1000n });
  const copied: Buffer[] = [];
  for await (const piece of beside.through(source)) copied.push(Buffer.from(piece));
  return { copied: Buffer.concat(copied), told: beside.end() };
}

describe('what a copy is full of', () => {
  it('is told in a few lines, and the copy is whole', async () => {
    const { total, rest } = await readContents(inPieces(file, 32 * 1024));

    const { copied, told } = await copy(inPieces(file, 32 * 1024));

    expect(copied.equals(file)).toBe(true);
    expect(told.contents).toMatchObject({
      bytes: file.length,
      keys: total.keys,
      liveBytes: total.liveBytes,
      historyBytes: total.historyBytes + total.tombstoneBytes,
      freeBytes: rest.freePages,
      otherKinds: 0,
    });
    const [maps, , , leases] = told.contents?.kinds ?? [];
    expect(maps).toMatchObject({ resource: 'configmaps', keys: 30, revisions: 60, namespaces: 3 });
    expect(maps?.largest.map(({ namespace }) => namespace)).toEqual(['a', 'b', 'c']);
    expect(leases).toMatchObject({ resource: 'leases', keys: 10, revisions: 20 });
  });

  it.each([
    ['no database', Buffer.alloc(200_000, 7), 'no valid meta page'],
    ['cut short', file.subarray(0, 100_000), 'the file is cut short'],
    ['empty', Buffer.alloc(0), 'no valid meta page'],
  ])('is not told where it is %s, and the copy is whole', async (_name, bytes, problem) => {
    const { copied, told } = await copy(inPieces(bytes, 32 * 1024));

    expect(copied.equals(bytes)).toBe(true);
    expect(told.contents).toBeUndefined();
    expect(told.problem).toContain(problem);
  });

  it('passes on what goes wrong with the copy itself', async () => {
    async function* broken() {
      yield file.subarray(0, 50_000);
      throw new Error('the member is gone');
    }

    await expect(copy(broken())).rejects.toThrow('the member is gone');
  });
});
