// The evaluator and the alarm's states against the examples and tables of CloudWatch's user guide.
import { describe, expect, it } from 'vitest';
import { type AlarmState, alarmState } from './alarm-states.ts';
import { aggregate, evaluate, type Series } from './metric-math.ts';

const _ = undefined;
const seriesOf = (picture: string): Series =>
  picture.split(' ').map((point) => (point === '-' ? _ : Number(point.replace('X', '1'))));

describe('metric math', () => {
  const m1 = [30, 20, 0, 0];
  const m2 = [20, _, 20, _];

  it.each([
    // The guide's examples of comparisons and of IF…
    ['m1 < m2', { m1, m2 }, [0, 0, 1, 0]],
    ['m1 >= 30', { m1 }, [1, 0, 0, 0]],
    ['IF(c, m2, m3)', { c: [1, 1, 0, 0, _], m2: [30, _, 0, 0, 30], m3: [0, 0, 20, _, 20] }, [30, 0, 20, _, _]],
    ['IF(c, 5, m3)', { c: [1, 1, 0, 0, _], m3: [0, 0, 20, _, 20] }, [5, 5, 20, _, _]],
    ['IF(c, m2, 5)', { c: [1, 1, 0, 0, _], m2: [30, _, 0, 0, 30] }, [30, 0, 5, 5, _]],
    ['IF(m1 < 25, m1)', { m1 }, [_, 20, 0, 0]],
    // …and what it says of arithmetic, RATE and FILL.
    ['m1 + m2', { m1: [1, _, _], m2: [1, 2, _] }, [2, 2, _]],
    ['100 - m2', { m2 }, [80, _, 80, _]],
    ['-m1', { m1: [3, _] }, [-3, _]],
    ['m1 / m2', { m1: [6, 6, 6], m2: [3, 0, _] }, [2, _, _]],
    ['RATE(m1)', { m1: [0, 60, 180] }, [_, 1, 2]],
    ['RATE(m1)', { m1: [0, _, 240] }, [_, _, 2]],
    ['FILL(m2, 0)', { m2 }, [20, 0, 20, 0]],
    // Precedence.
    ['2 + m1 * (3 - 1) > m1 - 1 - 1', { m1: [1] }, [1]],
    ['m1 - 1 - 1', { m1: [5] }, [3]],
    ['12 / m1 / 2', { m1: [3] }, [2]],
  ])('%s', (expression, series, expected) => {
    expect(evaluate(expression, { periodSeconds: 60, series })).toEqual(expected);
  });

  it.each([
    ['SUM(m1)', 'no SUM'],
    ['m1 +', 'no metric'],
    ['m1 ? 1', 'cannot read'],
    ['m2', 'no metric m2'],
    ['1 + 1', 'scalar'],
  ])('%s is refused', (expression, words) => {
    expect(() => evaluate(expression, { periodSeconds: 60, series: { m1: [1] } })).toThrow(words);
  });

  it.each([
    ['Minimum', [1, 3, _]],
    ['Sum', [3, 3, _]],
    ['Maximum', [2, 3, _]],
  ])('%s leaves out what is missing', (statistic, expected) => {
    expect(aggregate([1, 2, 3, _, _, _], 2, statistic)).toEqual(expected);
  });
});

describe('the state of an alarm', () => {
  const retained = 'retained';

  it.each([
    [3, '0 - X - X', 'OK', 'OK', 'OK', 'OK'],
    [3, '0 - - - -', 'OK', 'OK', 'OK', 'OK'],
    [3, '- - - - -', 'INSUFFICIENT_DATA', retained, 'ALARM', 'OK'],
    [3, '0 X X - X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    [3, '- - - - X', 'INSUFFICIENT_DATA', retained, 'ALARM', 'OK'],
    [3, 'X - - - -', 'ALARM', retained, 'ALARM', 'OK'],
    [2, '0 - X - X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    [2, '0 0 X 0 X', 'ALARM', 'ALARM', 'ALARM', 'ALARM'],
    [2, '0 - X - -', 'OK', 'OK', 'ALARM', 'OK'],
    [2, '- - - - 0', 'OK', 'OK', 'ALARM', 'OK'],
    [2, '- - - - X', 'INSUFFICIENT_DATA', retained, 'ALARM', 'OK'],
  ])('%i of 3, %s', (DatapointsToAlarm, picture, missing, ignore, breaching, notBreaching) => {
    const rule = {
      EvaluationPeriods: 3,
      DatapointsToAlarm,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    };
    const stateWith = (TreatMissingData: string, before: AlarmState) =>
      alarmState(seriesOf(picture), { ...rule, TreatMissingData }, before);
    /** "Retain current state" shows in that each state before is the state after. */
    const ignored = (['OK', 'ALARM', 'INSUFFICIENT_DATA'] as const).map((before) => stateWith('ignore', before));

    expect([stateWith('missing', 'OK'), stateWith('breaching', 'OK'), stateWith('notBreaching', 'OK')]).toEqual([
      missing,
      breaching,
      notBreaching,
    ]);
    expect(ignored).toEqual(ignore === retained ? ['OK', 'ALARM', 'INSUFFICIENT_DATA'] : [ignore, ignore, ignore]);
  });
});
