// The shapes in which an alarm's transition arrives, each read into the same plain data, so that nothing below knows
// the route.
import * as z from 'zod/mini';
import { InvalidInputError } from '../contract/errors.ts';
import { tryJson } from '../contract/json.ts';
import { type ShapeName, shapeOf, TRIGGER_SHAPES } from '../contract/trigger-shapes.ts';
import { validate } from '../contract/validate.ts';
import { excerpt, isObject, refuseOutlandish } from './json.ts';
import { refuseRaisedLimits } from './raised-limits.ts';
import { timestamp } from './timestamp.ts';

/** One alarm going from one state to another. The same transition reads the same, whatever route it took. */
export interface AlarmTransition {
  /** The CloudWatch alarm's name, or the label `alertname`. */
  readonly name: string;
  /** The alarm's ARN, or `alertmanager:<alertname>`. */
  readonly source: string;
  /** When it changed its state: ISO 8601, UTC, milliseconds. */
  readonly at: string;
  readonly state: 'ALARM' | 'OK' | 'INSUFFICIENT_DATA' | 'firing' | 'resolved';
}

/** One of several alerts that can't be read: the others are none the worse for it. */
export interface UnreadableAlert {
  /** Where it was, what was found there, and what was expected. */
  readonly problem: string;
}

const name = z.string().check(z.minLength(1, 'a name'));
const stateValue = z.enum(['ALARM', 'OK', 'INSUFFICIENT_DATA']);
const state = z.object({ value: stateValue, timestamp });

const stateChange = z
  .object({
    'detail-type': z.literal(TRIGGER_SHAPES.alarmStateChange.rule.detailType),
    source: z.literal(TRIGGER_SHAPES.alarmStateChange.rule.source),
    resources: z.array(z.string()),
    detail: z.object({ alarmName: name, state }),
  })
  .check(
    z.refine(({ resources, detail }) => resources.some((arn) => isArnOf(detail.alarmName, arn)), {
      message: 'the ARN of the alarm that detail.alarmName names',
      path: ['resources'],
    }),
  );

const action = z
  .object({
    source: z.literal('aws.cloudwatch'),
    alarmArn: z.string(),
    alarmData: z.object({ alarmName: name, state }),
  })
  .check(
    z.refine(({ alarmArn, alarmData }) => isArnOf(alarmData.alarmName, alarmArn), {
      message: 'the ARN of the alarm that alarmData.alarmName names',
      path: ['alarmArn'],
    }),
  );

const alarmMessage = z
  .object({ AlarmName: name, AlarmArn: z.string(), NewStateValue: stateValue, StateChangeTime: timestamp })
  .check(
    z.refine(({ AlarmName, AlarmArn }) => isArnOf(AlarmName, AlarmArn), {
      message: 'the ARN of the alarm that AlarmName names',
      path: ['AlarmArn'],
    }),
  );

const alertmanagerMessage = z.object({ alerts: z.array(z.unknown()).check(z.minLength(1, 'at least one alert')) });
/**
 * Alertmanager's own type (template.Alert) has these in each; but `alertname` is a label like any other, which an alert
 * need not have.
 */
const alertmanagerAlert = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: z.object({ alertname: name }),
  startsAt: timestamp,
});

/**
 * `CloudWatch Alarm State Change`, as EventBridge delivers it.
 * @throws InvalidInputError
 */
function readStateChange(event: unknown, source = 'EventBridge event'): AlarmTransition {
  const { resources, detail } = validate(stateChange, event, source);
  const arn = resources.find((resource) => isArnOf(detail.alarmName, resource)) ?? detail.alarmName;
  return { name: detail.alarmName, source: arn, at: detail.state.timestamp, state: detail.state.value };
}

/**
 * The payload of an alarm whose action is the function itself.
 * @throws InvalidInputError
 */
function readAction(event: unknown, source = "alarm's Lambda action"): AlarmTransition {
  const { alarmArn, alarmData } = validate(action, event, source);
  return { name: alarmData.alarmName, source: alarmArn, at: alarmData.state.timestamp, state: alarmData.state.value };
}

type Read = readonly (AlarmTransition | UnreadableAlert)[];

const READERS: Readonly<Record<Exclude<ShapeName, 'order'>, (value: unknown, source?: string) => Read>> = {
  alarmAction: (value, source) => [readAction(value, source)],
  alarmMessage: (value, source) => [fromCloudWatch(value, source)],
  alertmanager: (value, source) => fromAlertmanager(value, source),
  alarmStateChange: (value, source) => [readStateChange(value, source)],
};

/**
 * @param source what a refusal calls it; the shape's own word where it is left out
 * @throws InvalidInputError
 */
export function readAlarm(shape: keyof typeof READERS, value: unknown, source?: string): Read {
  return READERS[shape](value, source);
}

/**
 * What an SNS topic carries: CloudWatch's own message, Alertmanager's, or an EventBridge event that a rule sent to the
 * topic.
 * @throws InvalidInputError
 */
export function readMessage(text: string, source: string): Read {
  const message = tryJson(text);
  refuseOutlandish(message, source);
  refuseRaisedLimits(message, source);
  if (isObject(message)) {
    const shape = shapeOf(message, 'message');
    if (shape !== undefined && shape !== 'order') return readAlarm(shape, message, source);
  }
  if (looksLikeAlertmanagersText(text)) {
    // It has no time in it: the second delivery of one alert couldn't be told from the first one of the next.
    throw new InvalidInputError(source, [
      `(the whole document): found Alertmanager's default text, which doesn't say when an alert started, expected JSON: ` +
        'set `message` of sns_configs as docs/triggers.md shows',
    ]);
  }
  throw new InvalidInputError(source, [
    `(the whole document): found ${excerpt(text)}, expected the JSON of a CloudWatch alarm or of Alertmanager`,
  ]);
}

function fromCloudWatch(message: unknown, source = 'alarm message'): AlarmTransition {
  const alarm = validate(alarmMessage, message, source);
  return { name: alarm.AlarmName, source: alarm.AlarmArn, at: alarm.StateChangeTime, state: alarm.NewStateValue };
}

/**
 * Every member's alert of one evaluation has one name and one start: the run that they ask for is the same one.
 * @throws InvalidInputError where none of them can be read: then the template is wrong
 */
function fromAlertmanager(message: unknown, source = 'Alertmanager message'): Read {
  const { alerts } = validate(alertmanagerMessage, message, source);
  const problems: string[] = [];
  const read = alerts.map((alert, index) => {
    try {
      const { status, labels, startsAt } = validate(alertmanagerAlert, alert, source);
      return { name: labels.alertname, source: `alertmanager:${labels.alertname}`, at: startsAt, state: status };
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      const own = error.problems.map((problem) => `alerts[${index}].${problem}`);
      problems.push(...own);
      return { problem: own.join('; ') };
    }
  });
  if (read.every((alert) => 'problem' in alert)) throw new InvalidInputError(source, problems);
  return read;
}

function isArnOf(alarmName: string, arn: string): boolean {
  return arn.startsWith('arn:') && arn.endsWith(`:alarm:${alarmName}`);
}

function looksLikeAlertmanagersText(text: string): boolean {
  return /^\s*Alerts (Firing|Resolved):\s*$/m.test(text) && /^\s*Labels:\s*$/m.test(text);
}
