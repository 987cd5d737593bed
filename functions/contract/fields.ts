// What several fields of a configuration are: each says what it takes.
import * as z from 'zod/mini';

export const text = z.string().check(z.minLength(1, 'a text that is not empty'));
export const bytes = z
  .number({ error: ({ input }) => numberOfBytes(input) })
  .check(z.int('a whole number of bytes'), z.positive('more than 0 bytes'));

export const share = z.number().check(z.gt(0, 'more than 0'), z.lte(1, 'at most 1'));
export const wholeNumber = (from: number, to: number, of: string) =>
  z.number().check(z.int(`whole ${of}`), z.gte(from, `at least ${from} ${of}`), z.lte(to, `at most ${to} ${of}`));

/** What stands behind "expected": of "8G" and its like the number that is meant, as etcd's own flag takes it. */
function numberOfBytes(found: unknown): string {
  const [, amount, unit = ''] =
    /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$/i.exec(typeof found === 'string' ? found : '') ?? [];
  if (amount === undefined) return 'a number of bytes, such as 8589934592 for 8 GiB';
  const exponent = ['', 'k', 'm', 'g', 't'].indexOf(unit.toLowerCase());
  const meant = Math.round(Number(amount) * 1024 ** exponent);
  return `a number of bytes, without quotes and unit: ${meant}${exponent === 0 ? '' : ` is ${amount} ${unit.toUpperCase()}iB`}`;
}
