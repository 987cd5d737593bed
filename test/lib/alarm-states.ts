// How CloudWatch comes to an alarm's state, by the rules of its user guide ("Configuring how CloudWatch alarms treat
// missing data").
import type { Series } from './metric-math.ts';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/** As the template has them. */
export interface AlarmRule {
  readonly EvaluationPeriods: number;
  /** @default EvaluationPeriods */
  readonly DatapointsToAlarm?: number | undefined;
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  /** @default missing */
  readonly TreatMissingData?: string;
}

/**
 * "CloudWatch attempts to retrieve a higher number of data points": in the guide's tables two more than are evaluated.
 */
const RETRIEVED_BESIDES = 2;

/** The state at the end of each period, from the first one on; before it there was no data. */
export function alarmStates(points: Series, rule: AlarmRule): readonly AlarmState[] {
  let state: AlarmState = 'INSUFFICIENT_DATA';
  return points.map((_, i) => {
    const retrieved = points.slice(Math.max(0, i + 1 - rule.EvaluationPeriods - RETRIEVED_BESIDES), i + 1);
    state = alarmState(retrieved, rule, state);
    return state;
  });
}

/** @param retrieved the range's data points, oldest first */
export function alarmState(retrieved: Series, rule: AlarmRule, before: AlarmState): AlarmState {
  const { EvaluationPeriods: wanted, DatapointsToAlarm: needed = wanted, TreatMissingData: missing = 'missing' } = rule;
  const breaches = retrieved.map((point) => (point === undefined ? undefined : breachesRule(point, rule)));
  const existing = breaches.filter((breach) => breach !== undefined);
  const breaching = existing.slice(-wanted).filter(Boolean).length;
  const absent = Math.max(0, wanted - existing.length);

  if (absent === 0 || missing === 'notBreaching') return breaching >= needed ? 'ALARM' : 'OK';
  if (missing === 'breaching') return breaching + absent >= needed ? 'ALARM' : 'OK';
  if (breaching >= needed) return 'ALARM';
  if (existing.includes(false)) return 'OK';
  if (missing === 'ignore') return before;
  // "The oldest available breaching datapoint is at least as old as the value of Datapoints to Alarm, and all others
  // are breaching or missing."
  const oldest = breaches.indexOf(true);
  return oldest >= 0 && breaches.length - oldest >= needed ? 'ALARM' : 'INSUFFICIENT_DATA';
}

function breachesRule(point: number, { ComparisonOperator: operator, Threshold: threshold }: AlarmRule): boolean {
  switch (operator) {
    case 'GreaterThanOrEqualToThreshold':
      return point >= threshold;
    case 'GreaterThanThreshold':
      return point > threshold;
    case 'LessThanThreshold':
      return point < threshold;
    default:
      throw new Error(`no ${operator} here`);
  }
}
