// When a schedule fires next: EventBridge Scheduler's six-field cron expressions in their time zone. Exact, or not at
// all.

export interface Schedule {
  /** Minute, hour, day of month, month, day of week, year. */
  readonly cron: string;
  /** Of the IANA database. */
  readonly timeZone: string;
}

/** 29 February can be eight years away: 2096 to 2104. */
const HORIZON_DAYS = 8 * 366;
const DAY_MS = 24 * 60 * 60_000;

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/**
 * The next time after `from`. A time of day that the clocks jump over in spring is left out, and one that comes twice
 * in autumn counts once, as EventBridge Scheduler does it.
 * @param from milliseconds since 1970
 * @returns milliseconds since 1970; `never`: no such day in the next eight years; `unknown`: an expression that is not
 *   understood here (`L`, `W`, `#`, or not one at all), so that nothing is said of it
 */
export function nextRun({ cron, timeZone }: Schedule, from: number): number | 'never' | 'unknown' {
  const fields = parse(cron);
  if (fields === undefined) return 'unknown';
  const zone = new Zone(timeZone);
  const startDay = Math.floor((from + zone.offsetMs(from)) / DAY_MS) * DAY_MS;
  for (let day = 0; day <= HORIZON_DAYS; day++) {
    const midnight = startDay + day * DAY_MS;
    if (!fields.hasDay(new Date(midnight))) continue;
    // In the clock's order, which is the world's too where a time that comes twice counts as its first.
    const [next] = fields.hours
      .flatMap((hour) => fields.minutes.map((minute) => midnight + (hour * 60 + minute) * 60_000))
      .flatMap((wallClock) => zone.instant(wallClock) ?? [])
      .filter((instant) => instant > from);
    if (next !== undefined) return next;
  }
  return 'never';
}

interface Fields {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** @param day midnight of the day on the wall clock, as if that were UTC */
  hasDay(day: Date): boolean;
}

function parse(cron: string): Fields | undefined {
  const [minute, hour, dayOfMonth, month, dayOfWeek, year, ...rest] = cron.trim().split(/\s+/);
  // One of the two days says "any", and only one.
  if ((dayOfMonth === '?') === (dayOfWeek === '?') || rest.length > 0) return undefined;
  const minutes = values(minute, 0, 59);
  const hours = values(hour, 0, 23);
  const days = dayOfMonth === '?' ? 'any' : values(dayOfMonth, 1, 31);
  const months = values(month, 1, 12, MONTHS);
  const weekdays = dayOfWeek === '?' ? 'any' : values(dayOfWeek, 1, 7, WEEKDAYS);
  const years = values(year, 1970, 2199);
  if (!minutes || !hours || !days || !months || !weekdays || !years) return undefined;
  return {
    minutes,
    hours,
    hasDay: (day) =>
      years.includes(day.getUTCFullYear()) &&
      months.includes(day.getUTCMonth() + 1) &&
      (days === 'any' || days.includes(day.getUTCDate())) &&
      (weekdays === 'any' || weekdays.includes(day.getUTCDay() + 1)),
  };
}

/** `*`, `5`, `MON`, `1-5`, `0/15`, `1-30/5` and lists of these. */
function values(field: string | undefined, first: number, last: number, names: readonly string[] = []) {
  const found = new Set<number>();
  for (const part of (field ?? '').split(',')) {
    const [range = '', step, ...others] = part.split('/');
    const [from, to, ...more] =
      range === '*' ? [first, last] : range.split('-').map((text) => number(text, first, names));
    if (others.length > 0 || more.length > 0 || from === undefined) return undefined;
    const end = to ?? (step === undefined ? from : last);
    const by = step === undefined ? 1 : number(step, 0, []);
    if (!(from >= first && end >= from && end <= last && by !== undefined && by >= 1)) return undefined;
    for (let value = from; value <= end; value += by) found.add(value);
  }
  return [...found].sort((a, b) => a - b);
}

/** NaN, which is in no range, for what is neither a number nor one of the names. */
function number(text: string, first: number, names: readonly string[]): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  const index = names.indexOf(text.toUpperCase());
  return index < 0 ? Number.NaN : index + first;
}

/** What the clocks of a time zone show. */
class Zone {
  readonly #format: Intl.DateTimeFormat;

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** How far the clocks are ahead of UTC. */
  offsetMs(instant: number): number {
    const parts = new Map(this.#format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const [year = 0, month = 1, day, hour, minute, second] = (
      ['year', 'month', 'day', 'hour', 'minute', 'second'] as const
    ).map((type) => parts.get(type));
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000;
  }

  /** @returns the first instant at which the clocks show this; undefined where they jump over it */
  instant(wallClock: number): number | undefined {
    const offsets = new Set([this.offsetMs(wallClock - DAY_MS), this.offsetMs(wallClock + DAY_MS)]);
    const candidates = [...offsets].map((offset) => wallClock - offset);
    const shown = candidates.filter((instant) => instant + this.offsetMs(instant) === wallClock);
    return shown.length === 0 ? undefined : Math.min(...shown);
  }
}
