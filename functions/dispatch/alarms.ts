// The shapes in which an alarm's transition arrives, each read into the same plain data, so that nothing below knows the route.
import * as z from 'zod/mini';
import { InvalidInputError } from '../run/errors.ts';
import { validate } from '../run/validate.ts';
import { excerpt, isObject, refuseOutlandish, tryJson } from './json.ts';
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

const name = z.string().check(z.minLength(1, 'a name'));
const stateValue = z.enum(['ALARM', 'OK', 'INSUFFICIENT_DATA']);
const state = z.object({ value: stateValue, timestamp });

const stateChange = z
  .object({
    'detail-type': z.literal('CloudWatch Alarm State Change'),
    source: z.literal('aws.cloudwatch'),
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

const alertmanagerMessage = z.object({
  alerts: z
    .array(
      z.object({
        status: z.enum(['firing', 'resolved']),
        labels: z.object({ alertname: name }),
        startsAt: timestamp,
      }),
    )
    .check(z.minLength(1, 'at least one alert')),
});

/**
 * `CloudWatch Alarm State Change`, as EventBridge delivers it.
 * @throws InvalidInputError
 */
export function readStateChange(event: unknown, source = 'EventBridge event'): AlarmTransition {
  const { resources, detail } = validate(stateChange, event, source);
  const arn = resources.find((resource) => isArnOf(detail.alarmName, resource)) ?? detail.alarmName;
  return { name: detail.alarmName, source: arn, at: detail.state.timestamp, state: detail.state.value };
}

/**
 * The payload of an alarm whose action is the function itself.
 * @throws InvalidInputError
 */
export function readAction(event: unknown, source = "alarm's Lambda action"): AlarmTransition {
  const { alarmArn, alarmData } = validate(action, event, source);
  return { name: alarmData.alarmName, source: alarmArn, at: alarmData.state.timestamp, state: alarmData.state.value };
}

/**
 * What an SNS topic carries: CloudWatch's own message, Alertmanager's, or an EventBridge event that a rule sent to the topic.
 * @throws InvalidInputError
 */
export function readMessage(text: string, source: string): AlarmTransition[] {
  const message = tryJson(text);
  refuseOutlandish(message, source);
  if (isObject(message)) {
    if (Object.hasOwn(message, 'AlarmName')) return [fromCloudWatch(message, source)];
    if (Object.hasOwn(message, 'alerts')) return fromAlertmanager(message, source);
    if (Object.hasOwn(message, 'detail-type')) return [readStateChange(message, source)];
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

function fromCloudWatch(message: unknown, source: string): AlarmTransition {
  const alarm = validate(alarmMessage, message, source);
  return { name: alarm.AlarmName, source: alarm.AlarmArn, at: alarm.StateChangeTime, state: alarm.NewStateValue };
}

/** Every member's alert of one evaluation has one name and one start: the run that they ask for is the same one. */
function fromAlertmanager(message: unknown, source: string): AlarmTransition[] {
  return validate(alertmanagerMessage, message, source).alerts.map(({ status, labels, startsAt }) => ({
    name: labels.alertname,
    source: `alertmanager:${labels.alertname}`,
    at: startsAt,
    state: status,
  }));
}

function isArnOf(alarmName: string, arn: string): boolean {
  return arn.startsWith('arn:') && arn.endsWith(`:alarm:${alarmName}`);
}

function looksLikeAlertmanagersText(text: string): boolean {
  return /^\s*Alerts (Firing|Resolved):\s*$/m.test(text) && /^\s*Labels:\s*$/m.test(text);
}
