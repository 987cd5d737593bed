import { describe, expect, it } from 'vitest';
import { LastKnown, NoAnswerYetError } from '../../functions/probe/last-known.ts';

const HOUR_MS = 3_600_000;
const never = () => new Promise<string>(() => {});
const refused = () => Promise.reject(new Error('throttled'));

/** Values from a service that is counted. */
function service() {
  let count = 0;
  return { read: async () => `answer ${++count}`, count: () => count };
}

describe('what was known last', () => {
  it('is not read again before its time', async () => {
    const { read, count } = service();
    const known = new LastKnown<string>({ what: 'it', maxAgeMs: HOUR_MS, patienceMs: 1_000 });

    const answers = [await known.get('a', read), await known.get('a', read)];

    expect(answers).toEqual(Array(2).fill({ value: 'answer 1', problem: undefined }));
    expect(count()).toBe(1);
  });

  it.each<[string, (known: LastKnown<string>) => void, number]>([
    ['when it is too old', () => {}, 0],
    ['when it was found to be of no use', (known) => known.expire(), HOUR_MS],
  ])('is read again %s', async (_when, change, maxAgeMs) => {
    const { read } = service();
    const known = new LastKnown<string>({ what: 'it', maxAgeMs, patienceMs: 1_000 });
    await known.get('a', read);
    change(known);

    const again = await known.get('a', read);

    expect(again).toEqual({ value: 'answer 2', problem: undefined });
  });

  it.each<[string, () => Promise<string>, string]>([
    ['refuses', refused, 'throttled'],
    ['does not answer', never, 'it: no answer within 20 ms'],
  ])('has to do where the service %s, and says why', async (_how, read, problem) => {
    const known = new LastKnown<string>({ what: 'it', maxAgeMs: 0, patienceMs: 20 });
    await known.get('a', async () => 'old');

    const answer = await known.get('a', read);

    expect(answer).toEqual({ value: 'old', problem });
  });

  it('takes a late answer for the next time', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const known = new LastKnown<string>({ what: 'it', maxAgeMs: HOUR_MS, patienceMs: 20 });
    await expect(known.get('a', () => promise)).rejects.toThrow(NoAnswerYetError);
    resolve('late');
    await promise;

    const answer = await known.get('a', refused);

    expect(answer).toEqual({ value: 'late', problem: undefined });
  });

  it('is not used for something else', async () => {
    const known = new LastKnown<string>({ what: 'it', maxAgeMs: HOUR_MS, patienceMs: 1_000 });
    await known.get('a', async () => 'of a');

    await expect(known.get('b', refused)).rejects.toThrow('throttled');
  });
});
