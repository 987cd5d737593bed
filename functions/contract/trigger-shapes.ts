// The shapes in which a trigger reaches dispatch. Its readers, the stack's rule and what tests ask of events/ and of
// docs/triggers.md are made of these.

interface TriggerShape {
  /** As dispatch's event itself, or as a message of an SNS topic. */
  readonly arrives: readonly ('event' | 'message')[];
  /** The field by which it is told from the others; the first shape that has its field is taken. */
  readonly field: string;
  /** What an EventBridge rule passes on, where one brings it. */
  readonly rule?: { readonly source: string; readonly detailType: string };
  /** Files of events/, without `.json`; at least one of them is linked to in docs/triggers.md. */
  readonly samples: readonly string[];
}

export const TRIGGER_SHAPES = {
  alarmAction: { arrives: ['event'], field: 'alarmData', samples: ['alarm-action'] },
  alarmMessage: { arrives: ['message'], field: 'AlarmName', samples: ['alarm-sns', 'alarm-sns-ok'] },
  alertmanager: {
    arrives: ['message'],
    field: 'alerts',
    samples: ['alertmanager-sns', 'alertmanager-sns-resolved'],
  },
  alarmStateChange: {
    // A rule of somebody's own may send it to a topic.
    arrives: ['event', 'message'],
    field: 'detail-type',
    rule: { source: 'aws.cloudwatch', detailType: 'CloudWatch Alarm State Change' },
    samples: [
      ...['alarm-eventbridge', 'alarm-eventbridge-insufficient-data', 'alarm-eventbridge-ok'],
      ...['alarm-eventbridge-other', 'alarm-nospace-persists', 'alarm-quota-usage', 'alarm-sns-eventbridge'],
    ],
  },
  /** A schedule's input, or a person's command. */
  order: {
    arrives: ['event'],
    field: 'workflow',
    samples: [
      ...['schedule', 'schedule-prune', 'schedule-rehearsal', 'manual-dry-run', 'manual-recover'],
      ...['manual-maintain', 'manual-maintain-dry-run', 'manual-prune', 'manual-prune-dry-run'],
    ],
  },
} as const satisfies Readonly<Record<string, TriggerShape>>;

export type ShapeName = keyof typeof TRIGGER_SHAPES;

function isShape(name: string): name is ShapeName {
  return Object.hasOwn(TRIGGER_SHAPES, name);
}

export const SHAPE_NAMES: readonly ShapeName[] = Object.keys(TRIGGER_SHAPES).filter(isShape);

/** Undefined where it has none of the fields that tell the shapes. */
export function shapeOf(value: object, arrived: 'event' | 'message'): ShapeName | undefined {
  return SHAPE_NAMES.find((name) => {
    const { arrives, field }: TriggerShape = TRIGGER_SHAPES[name];
    return arrives.includes(arrived) && Object.hasOwn(value, field);
  });
}
