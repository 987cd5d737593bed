// The one thing that dispatch makes of any trigger and that every workflow takes as its input.
import * as z from 'zod/mini';
import { validate } from './validate.ts';
import { WORKFLOW_NAMES } from './workflows.ts';

/** What can fire a run. One list for all who read it back: a report of another kind would reach nobody. */
const TRIGGER_KINDS = ['alarm', 'schedule', 'manual'] as const;

export const triggerSchema = z.strictObject({
  kind: z.enum(TRIGGER_KINDS),
  /** What fired: an alarm's name or ARN, a schedule's ARN, "manual". */
  source: z.string().check(z.minLength(1), z.maxLength(512)),
  /** When the cause came about, ISO 8601; the same cause delivered again has the same time. */
  at: z.optional(z.iso.datetime({ offset: true })),
  /**
   * A dry run that nobody waits for: it is to show in daylight whether a real run would succeed, and tells people where
   * it would not.
   */
  rehearsal: z.optional(z.literal(true)),
});

const commandSchema = z.strictObject({
  cluster: z
    .string()
    .check(z.regex(/^[a-z0-9][a-z0-9-]{0,38}$/, 'a cluster name: lower case letters, digits, hyphens, at most 39')),
  workflow: z.enum(WORKFLOW_NAMES),
  trigger: triggerSchema,
  dryRun: z._default(z.boolean(), false),
  /** Of a pruning: etcd refuses writes and waits for it, so that it is not held to what a night may delete. */
  emergency: z.optional(z.literal(true)),
  /** The durable execution on whose behalf this runs: under its lease, which it goes on holding (R9). */
  parent: z.optional(z.string().check(z.regex(/^arn:aws/, "a durable execution's ARN"))),
});

/** What fired a run. */
export type Trigger = z.output<typeof triggerSchema>;
/** One order to one workflow on one cluster. */
export type Command = z.output<typeof commandSchema>;

/** @throws InvalidInputError naming the field, what was found and what was expected */
export function parseCommand(input: unknown, source = 'command'): Command {
  return validate(commandSchema, input, source);
}
