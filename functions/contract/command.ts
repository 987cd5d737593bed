// The one thing that dispatch makes of any trigger and that every workflow takes as its input.
import * as z from 'zod/mini';
import { share, wholeNumber } from './fields.ts';
import { kindName, MOST_DELETES } from './policies.ts';
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
  /** Of the invocation that brought a person's order: CloudTrail knows by it who that was, where it logs those. */
  requestId: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
  /** Who the sender says to be, which nobody has checked. */
  saidBy: z.optional(z.string().check(z.minLength(1), z.maxLength(100, 'at most 100 characters'))),
});

/** What a person allows one run to do with one kind of reports, beyond what the configuration lets every run do. */
const raisedSchema = z.strictObject({
  /** @default the configuration's */
  maxStaleShare: z.optional(share),
  /** Of this kind alone. They don't count against `prune.maxDeletes`, which is for all others. */
  maxDeletes: wholeNumber(1, MOST_DELETES, 'reports'),
});

/** By `<plural>.<group>`: those of one run (R12). */
export const limitsSchema = z.record(kindName, raisedSchema).check(
  z.refine((limits) => Object.keys(limits).length > 0, 'at least one kind of reports'),
  z.refine((limits) => Object.values(limits).reduce((sum, { maxDeletes = 0 }) => sum + maxDeletes, 0) <= MOST_DELETES, {
    error: `at most ${MOST_DELETES} deletes, all kinds together`,
  }),
);
export type Raised = z.output<typeof raisedSchema>;
export type RaisedLimits = Readonly<Record<string, Raised>>;

const commandSchema = z
  .strictObject({
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
    /** Of a pruning that a person has ordered. */
    limits: z.optional(limitsSchema),
  })
  .check(
    z.refine(({ limits, workflow }) => limits === undefined || workflow === 'prune', {
      error: 'none: only a pruning has limits that can be raised',
      path: ['limits'],
    }),
    z.refine(({ limits, trigger }) => limits === undefined || trigger.kind === 'manual', {
      error: 'none: only a person raises limits, by invoking dispatch',
      path: ['limits'],
    }),
  );

/** What fired a run. */
export type Trigger = z.output<typeof triggerSchema>;
/** One order to one workflow on one cluster. */
export type Command = z.output<typeof commandSchema>;

/** @throws InvalidInputError naming the field, what was found and what was expected */
export function parseCommand(input: unknown, source = 'command'): Command {
  return validate(commandSchema, input, source);
}

/**
 * By which way a person's order came. Who that was only CloudTrail knows; what they call themselves is marked as their
 * own words.
 */
export function describeSender({ source, requestId, saidBy }: Trigger): string {
  const ways: Readonly<Record<string, string>> = {
    dashboard: ' from the dashboard',
    invoke: ' at a terminal',
    manual: ' by invoking dispatch',
  };
  const request = requestId === undefined ? '' : ` (request ${requestId})`;
  const name = saidBy === undefined ? '' : `, who calls themselves ${JSON.stringify(saidBy)} (not checked)`;
  return `a person${ways[source] ?? ''}${request}${name}`;
}
