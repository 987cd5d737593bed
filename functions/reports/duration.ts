// Go's durations, as operators write them into annotations: `24h0m0s`, `1.5h`, `0s`.

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3, // micro sign
  μs: 1e3, // Greek letter mu
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3_600e9,
};
const TERM = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
/** What Go's int64 of nanoseconds ends at, about 292 years. */
const MAX_NS = 2 ** 63;

/** @returns milliseconds; undefined for what Go's time.ParseDuration refuses */
export function parseGoDuration(text: string): number | undefined {
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  const rest = text.slice(sign.length);
  if (rest === '0') return 0;
  if (rest === '') return undefined;
  let ns = 0;
  for (TERM.lastIndex = 0; TERM.lastIndex < rest.length; ) {
    const [, amount, unit] = TERM.exec(rest) ?? [];
    if (amount === undefined || unit === undefined) return undefined;
    ns += Number(amount) * (UNIT_NS[unit] ?? Number.NaN);
  }
  if (!(ns < MAX_NS)) return undefined;
  return ns === 0 ? 0 : (sign === '-' ? -ns : ns) / 1e6;
}
