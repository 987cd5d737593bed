// Charts as SVG text, drawn by Apache ECharts without a browser. The only file that knows ECharts' runtime.
import { BarChart, type BarSeriesOption, CustomChart, type CustomSeriesOption } from 'echarts/charts';
import { GridComponent, type GridComponentOption } from 'echarts/components';
import { type ComposeOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { type Html, html, trusted } from './html.ts';

/** No others are packed into the bundle. */
use([BarChart, CustomChart, GridComponent, SVGRenderer]);

export type ChartOption = ComposeOption<BarSeriesOption | CustomSeriesOption | GridComponentOption>;

/** Nothing happens when the mouse is over it: what it would say is in the text beside the chart. */
export const still = { silent: true, animation: false } as const;

export interface Chart {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Says in words what the chart shows. */
  readonly label: string;
  readonly option: ChartOption;
}

/** One `<svg>` element. Texts in it are escaped by ECharts. */
export function drawChart({ width, height, label, option }: Chart): Html {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: 'inherit' }, ...option });
    const svg = chart.renderToSVGString();
    const description = html`role="img" aria-label="${label}"`;
    return trusted(withoutBrowserParts(svg).replace('<svg ', () => `<svg ${description.text} `));
  } finally {
    chart.dispose();
  }
}

/**
 * Takes out what only ECharts' own script in a browser would use: styles for the mouse, classes that are numbered
 * through the life of this process, so that no two drawings would be the same, and notes on the data. None of it is
 * inside a text.
 */
function withoutBrowserParts(svg: string): string {
  return svg
    .replace(/<style >.*?<\/style>\s*/gs, '')
    .replace(/ (class="zr\d+-cls-\d+"|ecmeta_\w+="\w*")/g, '')
    .replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', '');
}
