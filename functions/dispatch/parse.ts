// Turns whatever triggered the function into commands to workflows, or into the reason why nothing is to be started.

import * as z from 'zod/mini';
import { type AlarmRoute, ownAlarms } from '../contract/alarm-routes.ts';
import { type Command, limitsSchema, parseCommand, triggerSchema } from '../contract/command.ts';
import type { PruningPolicy } from '../contract/configuration.ts';
import { InvalidInputError } from '../contract/errors.ts';
import { checkLimits, kindsToPrune } from '../contract/kinds.ts';
import { shapeOf } from '../contract/trigger-shapes.ts';
import { validate } from '../contract/validate.ts';
import { WORKFLOW_NAMES } from '../contract/workflows.ts';
import { type AlarmTransition, readAlarm, readMessage, type UnreadableAlert } from './alarms.ts';
import { excerpt, isObject, refuseOutlandish } from './json.ts';
import { refuseRaisedLimits } from './raised-limits.ts';
import { timestamp } from './timestamp.ts';

export interface DispatchContext {
  readonly cluster: string;
  /** Alarms of the user's own, beside the stack's. */
  readonly alarms: readonly AlarmRoute[];
  /** Of this invocation; Lambda keeps it when it tries an event again. */
  readonly requestId: string;
  /** What is configured of kinds of reports; asked only where an order names some. */
  readonly kinds: PruningPolicy['kinds'];
}

export type Dispatch =
  /** `cause` is the same for each delivery of what made the command, and so is the command, to the letter. */
  | { readonly kind: 'start'; readonly command: Command; readonly cause: string }
  | { readonly kind: 'ignore'; readonly reason: string };

/**
 * Reads an event: an alarm (EventBridge, Lambda action, SNS, Alertmanager over SNS), a schedule's input or a person's
 * command.
 * @returns at least one decision; no cause is started twice
 * @throws InvalidInputError for what isn't understood: which field, what was found, what was expected
 */
export function parseTrigger(event: unknown, context: DispatchContext): Dispatch[] {
  refuseOutlandish(event, 'event');
  if (isObject(event)) {
    if (!Object.hasOwn(event, 'workflow')) refuseRaisedLimits(event, 'event');
    if (Object.hasOwn(event, 'Records')) return decideAll(readRecords(event), context);
    const shape = shapeOf(event, 'event');
    if (shape === 'alarmStateChange' && isScheduledEvent(event)) throw withoutInput();
    if (shape === 'order') return [readOrder(event, context)];
    if (shape !== undefined) return decideAll(readAlarm(shape, event), context);
  }
  throw new InvalidInputError('event', [
    `(the whole document): found ${excerpt(event)}, expected an alarm (from EventBridge, as a Lambda action or over SNS) ` +
      'or a command such as { "workflow": "recover", "dryRun": true }',
  ]);
}

const records = z.object({
  Records: z
    .array(z.object({ EventSource: z.literal('aws:sns'), Sns: z.object({ Message: z.string() }) }))
    .check(z.minLength(1, 'at least one record')),
});

/** SNS hands over one record at a time; were there more and one unreadable, the whole event is refused and kept. */
function readRecords(event: object): (AlarmTransition | UnreadableAlert)[] {
  return validate(records, event, 'SNS event').Records.flatMap(({ Sns }, index) =>
    readMessage(Sns.Message, `SNS event: Records[${index}].Sns.Message`),
  );
}

function decideAll(alarms: readonly (AlarmTransition | UnreadableAlert)[], context: DispatchContext): Dispatch[] {
  const seen = new Set<string>();
  return alarms
    .map((alarm) => decide(alarm, context))
    .filter((dispatch) => {
      const key = dispatch.kind === 'start' ? `start ${dispatch.cause}` : `ignore ${dispatch.reason}`;
      return !seen.has(key) && seen.add(key);
    });
}

function decide(alarm: AlarmTransition | UnreadableAlert, { cluster, alarms }: DispatchContext): Dispatch {
  if ('problem' in alarm) {
    return { kind: 'ignore', reason: `an alert that can't be read, beside others that can: ${alarm.problem}` };
  }
  const { name, source, at, state } = alarm;
  const routes = [...ownAlarms(cluster), ...alarms];
  const route = routes.find((candidate) => candidate.name === name);
  if (route === undefined) {
    const known = routes.map((candidate) => candidate.name).join(', ');
    return {
      kind: 'ignore',
      reason: `${isAlert(state) ? 'alert' : 'alarm'} ${excerpt(name)} is not one that cluster ${cluster} answers to (${known})`,
    };
  }
  // The state it came from isn't asked for: a composite alarm that was suppressed reports ALARM late, from ALARM.
  if (state !== 'ALARM' && state !== 'firing') {
    const reason =
      state === 'resolved'
        ? `alert ${excerpt(name)}, which began at ${at}, is resolved: only a firing one starts a workflow`
        : `alarm ${excerpt(name)} went to ${state} at ${at}: only ALARM starts a workflow`;
    return { kind: 'ignore', reason };
  }
  const trigger = { kind: 'alarm', source, at };
  return {
    kind: 'start',
    command: parseCommand({ cluster, workflow: route.workflow, trigger }),
    cause: `alarm ${source} ${at}`,
  };
}

/** Alertmanager's states; the others are CloudWatch's. */
function isAlert(state: AlarmTransition['state']): boolean {
  return state === 'firing' || state === 'resolved';
}

/** A schedule's input or a person's command. */
function readOrder(event: object, { cluster, requestId, kinds }: DispatchContext): Dispatch {
  const schema = z.strictObject({
    workflow: z.enum(WORKFLOW_NAMES),
    cluster: z.optional(
      z.literal(cluster, `${excerpt(cluster)}, the cluster that this function belongs to, or nothing`),
    ),
    dryRun: z.optional(z.boolean()),
    limits: z.optional(limitsSchema),
    /** Who sends it, in their own words. */
    by: triggerSchema.shape.saidBy,
    // CloudWatch adds it to what a dashboard's button sends. Nothing of it is used but that it is there.
    widgetContext: z.optional(z.unknown()),
    trigger: z.optional(
      z.strictObject({
        kind: z.literal('schedule', '"schedule", or no trigger for a command of your own'),
        source: z.string().check(z.minLength(1, "the schedule's ARN or name")),
        at: timestamp,
        rehearsal: z.optional(z.literal(true, 'true, or nothing')),
      }),
    ),
  });
  if (Object.hasOwn(event, 'trigger')) refuseRaisedLimits(event, 'command');
  const { workflow, dryRun, trigger, limits, by, widgetContext } = validate(schema, event, 'command');
  if (limits !== undefined) checkLimits(limits, kindsToPrune(kinds), 'command');
  if (trigger?.rehearsal && dryRun !== true) {
    const found = dryRun === undefined ? 'nothing' : dryRun;
    throw new InvalidInputError('command', [
      `dryRun: found ${found}, expected true, because a rehearsal changes nothing`,
    ]);
  }
  return {
    kind: 'start',
    // A person's command has no time: tried again by Lambda it must be the same, to the letter.
    command: parseCommand({
      cluster,
      workflow,
      dryRun,
      trigger: trigger ?? {
        kind: 'manual',
        source: widgetContext === undefined ? 'manual' : 'dashboard',
        requestId,
        ...(by !== undefined && { saidBy: by }),
      },
      ...(limits !== undefined && { limits }),
    }),
    cause: trigger === undefined ? `manual ${requestId}` : `schedule ${trigger.source} ${trigger.at}`,
  };
}

function isScheduledEvent(event: object): boolean {
  return 'detail-type' in event && event['detail-type'] === 'Scheduled Event';
}

function withoutInput(): InvalidInputError {
  const names = WORKFLOW_NAMES.map((name) => JSON.stringify(name));
  return new InvalidInputError('scheduled event', [
    `workflow: found nothing, because the schedule has no input of its own, expected ${names.join(' or ')}: ` +
      'give the schedule an input as docs/triggers.md shows',
  ]);
}
