// Moments as AWS, Alertmanager and Go templates write them, brought into one form: two spellings of a moment are one
// cause.
import * as z from 'zod/mini';

// 2026-11-20T02:13:09.611+0000 (CloudWatch), 2026-11-20T02:13:09Z (EventBridge, Alertmanager),
// 2026-11-20 02:13:09.611123 +0000 UTC (a Go template that prints a time as it is)
const forms =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))? ?(Z|[+-]\d{2}:?\d{2})(?: (?:[A-Z]{3,5}|[+-]\d{2,4}))?$/;

/** @returns the same moment as `2026-11-20T02:13:09.611Z`, cut to milliseconds, or undefined where it isn't one */
function utcMilliseconds(text: string): string | undefined {
  const [, date, time, fraction = '', zone] = forms.exec(text) ?? [];
  if (date === undefined || time === undefined || zone === undefined) return undefined;
  const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(-2)}`;
  const epochMs = Date.parse(`${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${offset}`);
  return Number.isNaN(epochMs) ? undefined : new Date(epochMs).toISOString();
}

/** A moment in any of the forms above; what comes out is UTC with milliseconds. */
export const timestamp = z.pipe(
  z
    .string()
    .check(
      z.refine((text) => utcMilliseconds(text) !== undefined, 'a time with its zone, such as 2026-11-20T02:13:09.611Z'),
    ),
  z.transform((text) => utcMilliseconds(text) ?? text),
);
