// The scale below the members' bars.
import { formatBytes } from '../contract/report.ts';
import { drawChart } from './chart.ts';
import type { Html } from './html.ts';
import { caption, drawn, type Point } from './shapes.ts';
import { placeOf } from './text-width.ts';
import type { Theme } from './theme.ts';

/** Pixels, as all below. */
const HEIGHT = 22;
/** Below the line and its ticks. */
const LABEL_TOP = 8;
const LABEL_GAP = 4;

export interface Scale {
  /** Bytes; four of them are the quota. */
  readonly tick: number;
  readonly max: number;
}

export interface ScaleOptions {
  readonly theme: Theme;
  readonly width: number;
}

export function drawScale({ tick, max }: Scale, { theme, width }: ScaleOptions): Html {
  const labels = labelsOf({ tick, max }, width);
  return drawChart({
    width,
    height: HEIGHT,
    label: `The scale of the bars: up to ${formatBytes(max)}`,
    option: {
      // `none`: exactly as wide as the bars above it.
      grid: { left: 0, right: 0, top: 1, bottom: HEIGHT - 1, outerBoundsMode: 'none' },
      xAxis: {
        type: 'value',
        min: 0,
        max,
        interval: tick,
        splitLine: { show: false },
        axisLine: { show: true, lineStyle: { color: theme.line } },
        axisTick: { show: true, lineStyle: { color: theme.line } },
        axisLabel: { show: false },
      },
      yAxis: { type: 'category', data: [''], show: false },
      series: [
        drawn(
          labels.map(({ bytes }): Point => [bytes, 0]),
          ({ point: [x], index }) => caption([x, LABEL_TOP], labels[index]?.text ?? '', theme.muted, width),
        ),
      ],
    },
  });
}

/** At each tick, or at each second or fourth where they would run into each other; always at 0 and at the quota. */
function labelsOf({ tick, max }: Scale, width: number): readonly { readonly bytes: number; readonly text: string }[] {
  const all = [0, 1, 2, 3, 4].map((number) => {
    const bytes = number * tick;
    const text = formatBytes(Math.round(bytes));
    return { bytes, text, ...placeOf(text, (bytes / max) * width, width) };
  });
  const choices = [1, 2, 4].map((every) => all.filter((_, index) => index % every === 0));
  const areApart = (labels: typeof all) =>
    labels.every(({ from }, index) => from - (labels[index - 1]?.to ?? Number.NEGATIVE_INFINITY) >= LABEL_GAP);
  return choices.find(areApart) ?? [];
}
