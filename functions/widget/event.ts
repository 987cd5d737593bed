// What CloudWatch sends to the function behind a custom widget: documentation wanted, or a page of this size and
// colour.
import * as z from 'zod/mini';
import { validate } from '../contract/validate.ts';
import type { Frame } from './situation.ts';

/** All optional: "Test" in the Lambda console sends nothing of it, and what is not used here is not checked. */
const schema = z.object({
  describe: z.optional(z.boolean()),
  widgetContext: z.optional(
    z.object({
      theme: z.optional(z.string()),
      width: z.optional(z.number()),
      timezone: z.optional(z.object({ offsetISO: z.optional(z.string()) })),
    }),
  ),
});

/** Half of a dashboard on a small screen. */
const DEFAULT_WIDTH = 800;
const MIN_WIDTH = 280;
const MAX_WIDTH = 2_400;

/**
 * @returns `describe`: the documentation is wanted; else how the page is to be drawn
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function readEvent(event: unknown): 'describe' | Frame {
  const { describe, widgetContext } = validate(schema, event ?? {}, 'widget event');
  if (describe === true) return 'describe';
  const width = widgetContext?.width ?? DEFAULT_WIDTH;
  return {
    theme: widgetContext?.theme === 'dark' ? 'dark' : 'light',
    width: Math.round(Math.min(Math.max(width, MIN_WIDTH), MAX_WIDTH)),
    offsetMinutes: offsetMinutes(widgetContext?.timezone?.offsetISO ?? ''),
  };
}

/** `+02:00` is 120; what is not understood is UTC, as the page then says. */
function offsetMinutes(text: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):(\d{2})$/.exec(text) ?? [];
  const offset = Number(hours) * 60 + Number(minutes);
  if (sign === undefined || offset > 14 * 60) return 0;
  return sign === '-' ? -offset : offset;
}
