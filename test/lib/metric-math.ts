// CloudWatch's metric math, as far as the stack's alarms use it, by the rules of its user guide ("Using math
// expressions with CloudWatch metrics"): so that the very expressions of the template can be tried on series of our
// own.

/** One value a period; undefined: no data point. */
export type Series = readonly (number | undefined)[];
type Value = number | Series;

export interface Scope {
  /** The length of a period, in seconds. */
  readonly periodSeconds: number;
  /** By id; all of one length. */
  readonly series: Readonly<Record<string, Series>>;
}

/** @throws Error for whatever isn't in the expressions that the alarms have */
export function evaluate(expression: string, scope: Scope): Series {
  const tokens = [...expression.matchAll(/\s*(\d+(?:\.\d+)?|[A-Za-z_]\w*|[<>=!]=|[-+*/<>(),])\s*/g)];
  if (tokens.map(([all]) => all).join('') !== expression) throw new Error(`cannot read ${expression}`);
  const parser = new Parser(
    tokens.map(([, token = '']) => token),
    scope,
  );
  const value = parser.whole();
  if (typeof value === 'number') throw new Error(`${expression} is a scalar, which cannot be an expression's result`);
  return value;
}

/** One period's data points of a metric of a finer grain, by the statistic; undefined where there are none. */
export function aggregate(samples: Series, perPeriod: number, statistic: string): Series {
  return Array.from({ length: Math.ceil(samples.length / perPeriod) }, (_, i) => {
    const points = samples.slice(i * perPeriod, (i + 1) * perPeriod).filter((point) => point !== undefined);
    if (points.length === 0) return undefined;
    switch (statistic) {
      case 'Sum':
        return points.reduce((total, point) => total + point, 0);
      case 'Minimum':
        return Math.min(...points);
      case 'Maximum':
        return Math.max(...points);
      default:
        throw new Error(`no statistic ${statistic} here`);
    }
  });
}

const OPERATORS: Readonly<Record<string, (a: number, b: number) => number | undefined>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  // "If the value of a data point causes a function to attempt to divide by zero, the data point is dropped."
  '/': (a, b) => (b === 0 ? undefined : a / b),
  '<': (a, b) => Number(a < b),
  '>': (a, b) => Number(a > b),
  '<=': (a, b) => Number(a <= b),
  '>=': (a, b) => Number(a >= b),
  '==': (a, b) => Number(a === b),
  '!=': (a, b) => Number(a !== b),
};
/** Loosest first. */
const PRECEDENCE = [
  ['<', '>', '<=', '>=', '==', '!='],
  ['+', '-'],
  ['*', '/'],
];

class Parser {
  readonly #tokens: string[];
  readonly #scope: Scope;

  constructor(tokens: readonly string[], scope: Scope) {
    this.#tokens = [...tokens];
    this.#scope = scope;
  }

  whole(): Value {
    const value = this.#binary(0);
    if (this.#tokens.length > 0) throw new Error(`did not expect ${this.#tokens.join(' ')}`);
    return value;
  }

  #binary(level: number): Value {
    const operators = PRECEDENCE[level];
    if (operators === undefined) return this.#operand();
    let left = this.#binary(level + 1);
    while (operators.includes(this.#tokens[0] ?? '')) {
      const operator = OPERATORS[this.#tokens.shift() ?? ''];
      if (operator === undefined) throw new Error('no such operator');
      left = combine(left, this.#binary(level + 1), operator);
    }
    return left;
  }

  #operand(): Value {
    const token = this.#tokens.shift() ?? '';
    if (/^\d/.test(token)) return Number(token);
    if (token === '-') return combine(0, this.#operand(), (a, b) => a - b);
    if (token === '(') {
      const inner = this.#binary(0);
      this.#expect(')');
      return inner;
    }
    if (this.#tokens[0] === '(') return this.#call(token);
    const series = this.#scope.series[token];
    if (series === undefined) throw new Error(`no metric ${token}`);
    return series;
  }

  #call(name: string): Value {
    const values: Value[] = [];
    do {
      this.#tokens.shift();
      values.push(this.#binary(0));
    } while (this.#tokens[0] === ',');
    this.#expect(')');
    const [first, second, third] = values;
    if (name === 'RATE' && isSeries(first) && values.length === 1) return rate(first, this.#scope.periodSeconds);
    if (name === 'FILL' && isSeries(first) && typeof second === 'number') return first.map((point) => point ?? second);
    if (name === 'IF' && isSeries(first) && second !== undefined) return choose(first, second, third);
    throw new Error(`no ${name} of ${values.length} such arguments here`);
  }

  #expect(token: string): void {
    const found = this.#tokens.shift();
    if (found !== token) throw new Error(`expected ${token}, found ${found}`);
  }
}

/** "Missing values in a time series are treated as 0": where no series has a value, there is still none. */
function combine(left: Value, right: Value, operator: (a: number, b: number) => number | undefined): Value {
  if (!isSeries(left) && !isSeries(right)) return operator(left, right) ?? 0;
  const series = [left, right].filter(isSeries);
  return Array.from({ length: series[0]?.length ?? 0 }, (_, i) => {
    if (series.every((points) => points[i] === undefined)) return undefined;
    return operator(at(left, i) ?? 0, at(right, i) ?? 0);
  });
}

/**
 * "The difference between the latest data point value and the previous data point value, divided by the time difference
 * in seconds."
 */
function rate(series: Series, periodSeconds: number): Series {
  let previous: { readonly index: number; readonly value: number } | undefined;
  return series.map((value, index) => {
    if (value === undefined) return undefined;
    const before = previous;
    previous = { index, value };
    return before && (value - before.value) / ((index - before.index) * periodSeconds);
  });
}

/**
 * A true condition without its value is 0; a false one without its value, and a condition that isn't there, is no data
 * point.
 */
function choose(condition: Series, whenTrue: Value, whenFalse: Value | undefined): Series {
  return condition.map((truth, i) => {
    if (truth === undefined) return undefined;
    if (truth !== 0) return at(whenTrue, i) ?? 0;
    return whenFalse === undefined ? undefined : at(whenFalse, i);
  });
}

function at(value: Value, index: number): number | undefined {
  return isSeries(value) ? value[index] : value;
}

function isSeries(value: Value | undefined): value is Series {
  return Array.isArray(value);
}
