// Says what a role may do, as IAM does: a Deny wins, an Allow is needed, and a condition that is not understood here is
// an error.

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
}

export interface Condition {
  /** `ForAllValues:StringEquals`. */
  readonly operator: string;
  /** `dynamodb:LeadingKeys`; upper and lower case are the same. */
  readonly key: string;
  readonly values: readonly string[];
}

export interface Request {
  /** `s3:PutObject` */
  readonly action: string;
  /** An ARN; `*` for an action that knows no resources. */
  readonly resource: string;
  /** Condition keys and their values. @default none */
  readonly conditions?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** @throws RangeError for a condition whose operator is not known here */
export function isAllowed(statements: readonly Statement[], request: Request): boolean {
  const matching = statements.filter((statement) => matches(statement, request));
  return matching.length > 0 && matching.every(({ effect }) => effect === 'Allow');
}

/** Whether the statement says something of the request. @throws RangeError as above */
export function matches({ actions, resources, conditions }: Statement, request: Request): boolean {
  return (
    actions.some((pattern) => wildcard(pattern.toLowerCase(), request.action.toLowerCase())) &&
    resources.some((pattern) => matchesArn(pattern, request.resource)) &&
    conditions.every((condition) => holds(condition, request.conditions ?? {}))
  );
}

/**
 * Part by part: a wildcard in one part of an ARN never reaches into the next. The last one may have colons of its own.
 */
export function matchesArn(pattern: string, arn: string): boolean {
  if (pattern === '*') return true;
  const [patterns, parts] = [partsOf(pattern), partsOf(arn)];
  return patterns.length === parts.length && patterns.every((each, i) => wildcard(each, parts[i] ?? ''));
}

function partsOf(arn: string): string[] {
  const parts = arn.split(':');
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')];
}

/** `*` stands for any text, `?` for one character. */
function wildcard(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

type Comparison = (wanted: string, found: string) => boolean;

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  StringEquals: (wanted, found) => wanted === found,
  StringLike: wildcard,
  ArnEquals: matchesArn,
  ArnLike: matchesArn,
  Bool: (wanted, found) => wanted.toLowerCase() === found.toLowerCase(),
};

function holds({ operator, key, values }: Condition, given: NonNullable<Request['conditions']>): boolean {
  const [name = '', quantifier] = operator.split(':').reverse();
  const compare = COMPARISONS[name];
  if (compare === undefined || ![undefined, 'ForAllValues', 'ForAnyValue'].includes(quantifier)) {
    throw new RangeError(`condition operator ${operator} is not known here`);
  }
  const found = Object.entries(given).find(([each]) => each.toLowerCase() === key.toLowerCase())?.[1] ?? [];
  const meets = (value: string) => values.some((wanted) => compare(wanted, value));
  // As IAM has it, what isn't there meets ForAllValues.
  if (quantifier === 'ForAllValues') return found.every(meets);
  return quantifier === 'ForAnyValue' ? found.some(meets) : found.length > 0 && found.every(meets);
}
