// The shapes that the timeline is drawn with. Each kind of run has one of its own, so that colour is not needed to tell
// them apart.
import type { CustomSeriesOption } from 'echarts/charts';
import { still } from './chart.ts';
import { FONT_SIZE, placeOf } from './text-width.ts';
import type { RunKind } from './verdict.ts';

export type Shape = NonNullable<ReturnType<NonNullable<CustomSeriesOption['renderItem']>>>;
export type Point = readonly [x: number, y: number];

interface Place {
  /** Of the item's first two values. */
  readonly point: Point;
  readonly slotWidth: number;
  /** How high so many bytes are. */
  heightOf(bytes: number): number;
  /** The item's number. */
  readonly index: number;
}

/** A series whose items are drawn by `draw`; the first value of each is its slot, the second is in bytes. */
export function drawn(data: readonly Point[], draw: (place: Place) => Shape): CustomSeriesOption {
  return {
    type: 'custom',
    ...still,
    data: data.map((values) => [...values]),
    encode: { x: 0, y: 1 },
    renderItem: ({ dataIndex }, api) => {
      const slot = Number(api.value(0));
      const [x = 0, y = 0] = api.coord([slot, Number(api.value(1))]);
      const size = api.size?.([1, 0]);
      return draw({
        point: [x, y],
        slotWidth: (Array.isArray(size) ? size[0] : size) ?? 0,
        heightOf: (bytes) => api.coord([slot, bytes])[1] ?? 0,
        index: dataIndex,
      });
    },
  };
}

export function group(...children: readonly (Shape | undefined)[]): Shape {
  const shapes = children.filter((child) => child !== undefined);
  return { type: 'group', silent: true, children: shapes } as Shape;
}

interface Pen {
  readonly color: string;
  /** Pixels. */
  readonly width: number;
  readonly dash?: readonly number[];
  readonly opacity?: number;
}

export function line([x1, y1]: Point, [x2, y2]: Point, { color, width, dash, opacity = 1 }: Pen): Shape {
  const style = { stroke: color, lineWidth: width, fill: 'none', opacity, ...(dash && { lineDash: [...dash] }) };
  return { type: 'line', silent: true, shape: { x1, y1, x2, y2 }, style };
}

export function ring([cx, cy]: Point, radius: number, pen: Pen, fill = 'none'): Shape {
  const style = { fill, stroke: pen.color, lineWidth: pen.width };
  return { type: 'circle', silent: true, shape: { cx, cy, r: radius }, style };
}

export function disc([cx, cy]: Point, radius: number, color: string): Shape {
  return { type: 'circle', silent: true, shape: { cx, cy, r: radius }, style: { fill: color } };
}

/** Below the point, centred where the picture has room for it. @param width the picture's */
export function caption([center, y]: Point, text: string, color: string, width: number): Shape {
  const { x, align } = placeOf(text, center, width);
  const style = { text, fill: color, fontSize: FONT_SIZE, fontFamily: 'inherit', align } as const;
  return { type: 'text', silent: true, x, y, style };
}

/** What is still to come. */
export function diamond([x, y]: Point, { color, width }: Pen): Shape {
  const points = [
    [x, y - 6],
    [x + 6, y],
    [x, y + 6],
    [x - 6, y],
  ];
  return { type: 'polygon', silent: true, shape: { points }, style: { fill: 'none', stroke: color, lineWidth: width } };
}

/** A disc, a dash, an empty square, a triangle, a cross. */
export function sign(kind: RunKind, [x, y]: Point, color: string): Shape {
  const style = { fill: color };
  switch (kind) {
    case 'done':
      return disc([x, y], 5, color);
    case 'idle':
      return { type: 'rect', silent: true, shape: { x: x - 6, y: y - 1.5, width: 12, height: 3 }, style };
    case 'plan':
      return {
        type: 'rect',
        silent: true,
        shape: { x: x - 4, y: y - 4, width: 8, height: 8 },
        style: { fill: 'none', stroke: color, lineWidth: 2 },
      };
    case 'person': {
      const points = [
        [x, y - 7],
        [x + 7, y + 5],
        [x - 7, y + 5],
      ];
      return { type: 'polygon', silent: true, shape: { points }, style };
    }
    case 'failed': {
      const pen = { color, width: 3 };
      return group(line([x - 5, y - 5], [x + 5, y + 5], pen), line([x - 5, y + 5], [x + 5, y - 5], pen));
    }
  }
}
