// R12: one run's limits are raised by a person who invokes this function, and never by what an alarm, a topic or a
// schedule brings along: whoever can publish there may start a run, and may not say yes for it.
import { InvalidInputError } from '../contract/errors.ts';
import { excerpt, isObject } from './json.ts';

const ONLY_DIRECTLY =
  'none: limits are raised only by a person who invokes this function (Test in the console, the dashboard, the command line)';

/**
 * Refuses `limits` wherever a delivery could carry them: in the document, and in what services put around it. Not among
 * an alert's labels, where a word means nothing.
 * @throws InvalidInputError naming the field
 */
export function refuseRaisedLimits(delivery: unknown, source: string): void {
  const problems = carriersIn(delivery, '').flatMap(([path, carrier]) =>
    Object.hasOwn(carrier, 'limits')
      ? [`${path}limits: found ${excerpt(Reflect.get(carrier, 'limits'))}, expected ${ONLY_DIRECTLY}`]
      : [],
  );
  if (problems.length > 0) throw new InvalidInputError(source, problems);
}

/** What a service wraps its data into. */
const WRAPPERS = ['Records', 'Sns', 'detail', 'alarmData', 'alerts', 'trigger'];

function carriersIn(value: unknown, path: string): (readonly [path: string, carrier: object])[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => carriersIn(item, `${path.slice(0, -1)}[${index}].`));
  }
  if (!isObject(value)) return [];
  const within = WRAPPERS.flatMap((name) =>
    Object.hasOwn(value, name) ? carriersIn(Reflect.get(value, name), `${path}${name}.`) : [],
  );
  return [[path, value], ...within];
}
