// Times and how long ago they are, short enough for a widget.

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `42 s`, `5 min`, `3 h`, `2 days`: rounded down, as people say it. */
export function formatAge(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)} s`;
  if (ms < 2 * HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return `${Math.floor(ms / DAY_MS)} days`;
}

/** `3 Mar 02:30`. @param instant milliseconds since 1970 */
export function formatTime(instant: number, offsetMinutes: number): string {
  const shown = new Date(instant + offsetMinutes * MINUTE_MS);
  return `${formatDate(instant, offsetMinutes)} ${shown.toISOString().slice(11, 16)}`;
}

/** `3 Mar`. */
export function formatDate(instant: number, offsetMinutes: number): string {
  const shown = new Date(instant + offsetMinutes * MINUTE_MS);
  return `${shown.getUTCDate()} ${MONTHS[shown.getUTCMonth()]}`;
}

/** `UTC`, `UTC+02:00`. */
export function formatOffset(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'UTC';
  const absolute = Math.abs(offsetMinutes);
  const two = (value: number) => String(value).padStart(2, '0');
  return `UTC${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}
