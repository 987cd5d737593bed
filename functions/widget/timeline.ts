// The last runs and the next ones as a chart: for each the largest voter's file before and after it, and how it ended.
import { formatBytes } from '../contract/report.ts';
import type { Chart, ChartOption } from './chart.ts';
import { nameOf } from './names.ts';
import { caption, diamond, disc, drawn, group, line, type Point, ring, sign } from './shapes.ts';
import { EMPTY, isRun, type Slot, slotsOf, type TimelineData } from './slots.ts';
import { FONT_SIZE, widthOf } from './text-width.ts';
import { colorOf, RUN_KINDS, type Theme } from './theme.ts';

const MiB = 1024 * 1024;

const HEIGHT = 210;
/** Between a size and the axis, and between two texts. */
const GAP = 8;
const MIN_GAP = 4;
/** No size is wider. */
const WIDEST_SIZE = '1023 MiB';
const LEFT = Math.ceil(widthOf(WIDEST_SIZE)) + GAP + 2;
const GRID = { left: LEFT, right: 6, top: 20, bottom: 56, outerBoundsMode: 'none' } as const;
/** Below the axis: how each run ended. Below that, what it was and when. */
const SIGN_OFFSET = 13;
const LABEL_MARGIN = 26;
/** So narrow, a sign and a letter are still apart from their neighbours'. */
const MIN_SLOT = 22;
/** A file that changed by fewer pixels is drawn as one that did not. */
const MIN_CHANGE = 5;

export interface TimelineOptions {
  readonly theme: Theme;
  /** Pixels. */
  readonly width: number;
  readonly offsetMinutes: number;
}

/** From left to right as time goes, with as many of the last runs as there is room for. Every run has the same room. */
export function timelineChart(data: TimelineData, options: TimelineOptions): Chart {
  const room = Math.floor((options.width - GRID.left - GRID.right) / MIN_SLOT);
  const slots = slotsOf(data, room, options.offsetMinutes);
  const quota = Math.max(0, ...slots.map(({ change }) => change?.quotaBytes ?? 0));
  const largest = Math.max(quota, MiB, ...slots.flatMap(({ change }) => [change?.before ?? 0, change?.after ?? 0]));
  return {
    width: options.width,
    height: HEIGHT,
    label: `The last ${data.runs.length} runs and the next ${data.upcoming.length}; they are listed below`,
    option: {
      grid: GRID,
      xAxis: xAxis(slots, options),
      yAxis: {
        type: 'value',
        min: 0,
        max: largest * 1.05,
        interval: (quota || largest) / 4,
        splitLine: { lineStyle: { color: options.theme.line, opacity: 0.6 } },
        axisLabel: {
          color: options.theme.muted,
          fontSize: FONT_SIZE,
          margin: GAP,
          showMaxLabel: false,
          formatter: (bytes: number) => formatBytes(Math.round(bytes)),
        },
      },
      series: [quotaLine, nowLine, files, signs].map((draw) => draw(slots, options)),
    },
  };
}

function xAxis(slots: readonly Slot[], { theme, width }: TimelineOptions): NonNullable<ChartOption['xAxis']> {
  const slotWidth = (width - GRID.left - GRID.right) / slots.length;
  const names = slots.map(({ workflow }) => nameOf(workflow));
  // Where there is no room for names, their first letters.
  const hasNames = slotWidth >= widest(names) + MIN_GAP;
  const every = Math.max(1, Math.ceil((widest(slots.map(({ date }) => date)) + MIN_GAP) / slotWidth));
  // Counted from the newest run, so that it has one.
  const newest = slots.findLastIndex(({ kind }) => kind !== 'upcoming');
  const labels = slots.map(({ date }, index) => {
    // A date under the last slot must not stick out of the chart.
    const fits = (slots.length - index - 0.5) * slotWidth + GRID.right >= widthOf(date) / 2;
    const isDated = (index - newest) % every === 0 && fits;
    const name = names[index] ?? '';
    return `${hasNames ? name : ([...name][0] ?? '')}\n${isDated ? date : ''}`;
  });
  return {
    type: 'category',
    data: slots.map((_, index) => String(index)),
    axisLine: { lineStyle: { color: theme.line } },
    axisTick: { show: false },
    axisLabel: {
      color: theme.muted,
      fontSize: FONT_SIZE,
      lineHeight: 15,
      margin: LABEL_MARGIN,
      interval: 0,
      formatter: (_: string, index: number) => labels[index] ?? '',
    },
  };
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => widthOf(text)));
}

/** Where a run's members had different quotas, that of the largest file. It holds until another one is seen. */
function quotaLine(slots: readonly Slot[], { theme }: TimelineOptions) {
  const known = slots.map(({ change }) => change?.quotaBytes);
  let quota = known.find((bytes) => bytes !== undefined);
  const lines: { from: number; slots: number; quota: number }[] = [];
  known.forEach((bytes, index) => {
    quota = bytes ?? quota;
    const last = lines.at(-1);
    if (quota === undefined) return;
    if (last?.quota === quota) last.slots++;
    else lines.push({ from: index, slots: 1, quota });
  });
  return drawn(
    lines.map(({ from, quota: bytes }): Point => [from, bytes]),
    ({ point: [x, y], slotWidth, index }) => {
      const start = x - slotWidth / 2;
      const end = start + slotWidth * (lines[index]?.slots ?? 0);
      return line([start, y], [end, y], { color: theme.ink, width: 1, dash: [4, 3] });
    },
  );
}

function nowLine(slots: readonly Slot[], { theme, width }: TimelineOptions) {
  const next = slots.findIndex(({ kind }) => kind === 'upcoming');
  return drawn(next < 0 ? [] : [[next, 0]], ({ point: [x, bottom], slotWidth }) => {
    const now = x - slotWidth / 2;
    return group(
      line([now, GRID.top - 4], [now, bottom + SIGN_OFFSET + 8], { color: theme.muted, width: 1 }),
      caption([now, 2], 'now', theme.muted, width),
    );
  });
}

function files(slots: readonly Slot[], { theme }: TimelineOptions) {
  const changes = slots.flatMap(({ kind, change }, index) => {
    const { before, after = before } = change ?? {};
    return after === undefined ? [] : [{ index, kind, before: before ?? after, after }];
  });
  return drawn(
    changes.map(({ index, after }): Point => [index, after]),
    ({ point: [x, end], heightOf, index }) => {
      const { kind = 'idle', before = 0 } = changes[index] ?? {};
      const color = isRun(kind) ? colorOf(theme, RUN_KINDS[kind].tone) : theme.muted;
      const start = heightOf(before);
      if (Math.abs(end - start) < MIN_CHANGE) return disc([x, end], 3.5, color);
      return group(
        line([x, start], [x, end], { color, width: 3, opacity: 0.5 }),
        ring([x, start], 3, { color, width: 2 }, theme.track),
        disc([x, end], 4, color),
      );
    },
  );
}

function signs(slots: readonly Slot[], { theme }: TimelineOptions) {
  return drawn(
    slots.map((_, index): Point => [index, 0]),
    ({ point: [x, bottom], index }) => {
      const { kind } = slots[index] ?? EMPTY;
      const place: Point = [x, bottom + SIGN_OFFSET];
      if (kind === 'upcoming') return diamond(place, { color: theme.muted, width: 1.5 });
      if (kind === 'running') return ring(place, 5, { color: theme.info, width: 3 });
      return isRun(kind) ? sign(kind, place, colorOf(theme, RUN_KINDS[kind].tone)) : group();
    },
  );
}
