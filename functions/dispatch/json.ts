// Guards between whatever arrives and the schemas: what no service sends is refused before it is walked.
import { InvalidInputError } from '../contract/errors.ts';

/** Real triggers nest 10 deep. Beyond this, whatever walks the data recursively could run out of stack. */
const MAX_DEPTH = 32;

/** @throws InvalidInputError where `value` isn't plain JSON or is nested deeper than any trigger */
export function refuseOutlandish(value: unknown, source: string): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) {
      throw new InvalidInputError(source, [
        `(the whole document): found more than ${MAX_DEPTH} levels of nesting, expected a trigger`,
      ]);
    }
    const below: unknown[] = [];
    for (const item of level) {
      if (typeof item === 'object' && item !== null) for (const child of Object.values(item)) below.push(child);
      else if (['bigint', 'function', 'symbol'].includes(typeof item)) {
        throw new InvalidInputError(source, [`(the whole document): found a ${typeof item}, expected plain JSON`]);
      }
    }
    level = below;
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value for a message: on one line, short enough to read. */
export function excerpt(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 80) : value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
