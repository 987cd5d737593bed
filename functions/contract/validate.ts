// Checks data that comes from outside against a schema, and says in one line a problem what is wrong with it.
import * as z from 'zod/mini';
import { InvalidInputError, redact } from './errors.ts';

/**
 * Checks `input` against `schema`.
 * @param source what the data is, for the message: a file's name, "alarm event", …
 * @returns the data with the schema's defaults filled in
 * @throws InvalidInputError with one problem a field: "etcd.endpoints[0]: found 'ftp://x', expected an http or https
 *   URL"
 */
export function validate<Schema extends z.ZodMiniType>(
  schema: Schema,
  input: unknown,
  source: string,
): z.output<Schema> {
  const result = z.safeParse(schema, input);
  if (result.success) return result.data;
  throw new InvalidInputError(
    source,
    result.error.issues.flatMap((issue) => problems(issue, input, [])),
  );
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

function problems(issue: Issue, input: unknown, base: Path): string[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${format([...path, key])}: found a field that is not known here, expected ${expectedKeys(issue)}`,
    );
  }
  if (issue.code === 'invalid_union') {
    // The branch that got furthest says most about what the person meant.
    const branches = issue.errors.map((branch) => branch.flatMap((inner) => problems(inner, input, path)));
    const expected = branches.map((lines) => lines.join(' and ')).filter(Boolean);
    if (issue.message && issue.message !== 'Invalid input') return [line(path, input, issue.message)];
    return [line(path, input, `one of: ${expected.join(' | or | ')}`)];
  }
  return [line(path, input, expectation(issue))];
}

function line(path: Path, input: unknown, expected: string): string {
  const value = valueAt(input, path);
  return `${format(path)}: found ${path.includes('credentials') ? outline(value) : show(value)}, expected ${expected}`;
}

/** What would have been right. A schema's own message, where it has one, is written to complete "expected …". */
function expectation(issue: Issue): string {
  if (issue.message && issue.message !== 'Invalid input') return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected;
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value)).join(' or ');
    case 'too_small':
      return `at least ${issue.minimum} ${unit(issue.origin)}`.trim();
    case 'too_big':
      return `at most ${issue.maximum} ${unit(issue.origin)}`.trim();
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    default:
      return 'a valid value';
  }
}

function unit(origin: string): string {
  if (origin === 'string') return 'characters';
  return origin === 'array' || origin === 'set' ? 'entries' : '';
}

function expectedKeys(issue: Extract<Issue, { code: 'unrecognized_keys' }>): string {
  return issue.message && issue.message !== 'Invalid input' ? issue.message : 'only the documented fields';
}

function format(path: Path): string {
  if (path.length === 0) return '(the whole document)';
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${cut(String(part))}`))
    .join('');
}

function valueAt(input: unknown, path: Path): unknown {
  let value: unknown = input;
  for (const part of path) {
    if (value === null || typeof value !== 'object') return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

/** What was found, short, and never the text of a key. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = serialize(value);
  if (/PRIVATE KEY/.test(text)) return 'a private key (not shown)';
  return cut(redact(text));
}

/** R15: of what stands under `credentials` the fields' names are shown, and nothing else. */
function outline(value: unknown): string {
  if (value === undefined || value === null) return show(value);
  if (typeof value !== 'object' || Array.isArray(value)) return `a value of type ${typeof value} (not shown)`;
  const names = Object.keys(value).map((name) => cut(name));
  return names.length > 0 ? `the fields ${names.join(', ')} (values not shown)` : 'no fields';
}

/** JSON, or just the kind of value where it is nested too deeply for that. */
function serialize(value: unknown): string {
  try {
    return JSON.stringify(value) ?? typeof value;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return `a value of type ${typeof value}`;
    throw error;
  }
}

function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
