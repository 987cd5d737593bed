import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes } from '../../functions/contract/report.ts';
import { drawChart } from '../../functions/widget/chart.ts';
import { slotsOf } from '../../functions/widget/slots.ts';
import { placeOf, widthOf } from '../../functions/widget/text-width.ts';
import { themeOf } from '../../functions/widget/theme.ts';
import { timelineChart } from '../../functions/widget/timeline.ts';
import { textOf } from './markup.ts';
import { iso, NOW, run } from './situations.ts';

const MiB = 1024 * 1024;
const hour = 60 * 60_000;
const theme = themeOf({ theme: 'light' });

const newest = run({ outcome: 'failed', members: [], startedAt: iso(NOW - hour) });
const older = run({ outcome: 'maintained', startedAt: iso(NOW - 25 * hour) });
const oldest = run({ workflow: 'recover', outcome: 'escalated', startedAt: iso(NOW - 49 * hour) });
const data = {
  runs: [newest, older, oldest],
  running: { workflow: 'recover', at: NOW },
  upcoming: [
    { workflow: 'prune', at: NOW + 9 * hour },
    { workflow: 'maintain', at: NOW + 20 * hour },
  ],
};

const draw = (given: Parameters<typeof timelineChart>[0], width = 1_000) =>
  drawChart(timelineChart(given, { theme, width, offsetMinutes: 0 })).text;

describe('the timeline', () => {
  it('goes from the oldest run over the one at work to the next ones, and is not stretched for few', () => {
    const slots = slotsOf(data, 30, 0);

    expect(slots.map(({ kind, workflow, date }) => `${kind} ${workflow} ${date}`.trim())).toEqual([
      'empty',
      'empty',
      'person recover 2 Mar',
      'done maintain 3 Mar',
      'failed maintain 4 Mar',
      'running recover 4 Mar',
      'upcoming prune 4 Mar',
      'upcoming maintain 5 Mar',
    ]);
  });

  it('leaves out the oldest where there is no room', () => {
    const slots = slotsOf(data, 5, 0);

    expect(slots.filter(({ kind }) => kind !== 'empty').map(({ kind }) => kind)).toEqual([
      'done',
      'failed',
      'running',
      'upcoming',
      'upcoming',
    ]);
  });

  it.each([
    [400, 'R M M R P M'],
    [1_600, 'Recovery Maintenance Maintenance Recovery Pruning Maintenance'],
  ])('at %d pixels names the runs %s', (width, names) => {
    const words = textOf(draw(data, width)).split(' ');

    expect(words.filter((word) => names.split(' ').includes(word)).join(' ')).toBe(names);
  });

  it('draws a file that shrank from high to low', () => {
    const svg = draw({ runs: [run({ before: 2_000 * MiB, after: 500 * MiB })], running: undefined, upcoming: [] });

    const [before] = [...svg.matchAll(new RegExp(`<circle [^>]*cy="([\\d.]+)" r="3" fill="${theme.track}"`, 'g'))];
    const [after] = [...svg.matchAll(new RegExp(`<circle [^>]*cy="([\\d.]+)" r="4" fill="${theme.good}"`, 'g'))];
    // A chart's 0 is at its top. 134 pixels are 2 GiB and the 5 % above; the members of the sample differ by some MiB.
    const height = (match: RegExpMatchArray | undefined) => 154 - Number(match?.[1]);
    expect(height(before)).toBeCloseTo((134 / 1.05) * (1_999 / 2_048), 0);
    expect(height(after)).toBeCloseTo((134 / 1.05) * (499 / 2_048), 0);
  });

  it('shows how a run ended by a shape of its own, not by colour alone', () => {
    const outcomes = ['maintained', 'nothing-to-do', 'planned', 'escalated', 'failed'] as const;
    const shapes = outcomes.map((outcome) => {
      const svg = draw({ runs: [run({ outcome, members: [] })], running: undefined, upcoming: [] });
      return svg.replace(/<text.*?<\/text>/gs, '').replace(/#\w{6}/g, '');
    });

    expect(new Set(shapes).size).toBe(outcomes.length);
  });

  it('has room for every size beside its axis', () => {
    const bytes = fc.double({ min: 0, max: 2 ** 50, noNaN: true });
    fc.assert(fc.property(bytes, (size) => widthOf(formatBytes(size)) <= widthOf('1023 MiB')));
  });
});

describe('a text in a chart', () => {
  it.each([
    ['in the middle', 100, { x: 100, align: 'center' }],
    ['at the left edge', 3, { x: 0, align: 'left' }],
    ['at the right edge', 198, { x: 200, align: 'right' }],
  ])('stays inside of it: %s', (_, x, place) => {
    const { from, to, ...placed } = placeOf('2.00 GiB', x, 200);

    expect(placed).toEqual(place);
    expect(from).toBeGreaterThanOrEqual(0);
    expect(to).toBeLessThanOrEqual(200);
  });
});
