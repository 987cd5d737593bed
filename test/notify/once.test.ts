import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotificationError } from '../../functions/notify/errors.ts';
import { CLAIM_MS, once } from '../../functions/notify/once.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';

let aws: AwsStandIn;
let done: string[];

beforeEach(async () => {
  aws = await startAws();
  aws.enter();
  done = [];
});
afterEach(() => aws.stop());

const options = (identity = 'a run') => ({ table: aws.table, cluster: 'demo', identity });
const work = (name: string) => async () => void done.push(name);

describe('once', () => {
  it('does each thing one time', async () => {
    const results = [
      await once(options('a run'), work('first')),
      await once(options('a run'), work('again')),
      await once(options('another run'), work('another')),
    ];

    expect(results.map(({ kind }) => kind)).toEqual(['done', 'done before', 'done']);
    expect(done).toEqual(['first', 'another']);
  });

  it('knows what was done when its event comes back days later, from the dead-letter queue', async () => {
    await once(options(), work('first'));

    const later = await once({ ...options(), now: () => Date.now() + 13 * 24 * 60 * 60_000 }, work('again'));

    expect(later).toEqual({ kind: 'done before' });
    expect(done).toEqual(['first']);
  });

  it('does again what failed', async () => {
    const failing = once(options(), () => Promise.reject(new Error('refused')));
    await expect(failing).rejects.toThrow('refused');

    const second = await once(options(), work('second'));

    expect(second).toEqual({ kind: 'done' });
    expect(done).toEqual(['second']);
  });

  it('keeps away from what another is doing, and does it once that one has had its time', async () => {
    const begun = Promise.withResolvers<void>();
    // As in an invocation that is killed: it neither ends nor fails.
    const crashed = once(options(), () => {
      begun.resolve();
      return new Promise<void>(() => {});
    });
    await Promise.race([begun.promise, crashed]);

    await expect(once(options(), work('too early'))).rejects.toThrow(NotificationError);
    const later = await once({ ...options(), now: () => Date.now() + CLAIM_MS + 1 }, work('later'));

    expect(later).toEqual({ kind: 'done' });
    expect(done).toEqual(['later']);
  });

  it('lets go of its claim before Lambda’s next attempt', () => {
    expect(CLAIM_MS).toBeLessThan(60_000);
  });

  it('does it without a table too, and says why it is not remembered', async () => {
    const result = await once({ ...options(), table: 'no-such-table' }, work('done'));

    expect(result).toEqual({ kind: 'done', problem: expect.stringContaining('not found') });
    expect(done).toEqual(['done']);
  });
});
