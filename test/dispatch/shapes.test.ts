// The table of trigger shapes beside the sample events and the page on triggers.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SHAPE_NAMES, shapeOf, TRIGGER_SHAPES } from '../../functions/contract/trigger-shapes.ts';

const root = new URL('../../', import.meta.url);
const SAMPLES = SHAPE_NAMES.flatMap((shape) => TRIGGER_SHAPES[shape].samples.map((sample) => ({ shape, sample })));

/** What arrived, and how. */
function read(sample: string): { readonly value: object; readonly arrived: 'event' | 'message' } {
  const event = JSON.parse(readFileSync(new URL(`events/${sample}.json`, root), 'utf8'));
  if (!('Records' in event)) return { value: event, arrived: 'event' };
  return { value: JSON.parse(event.Records[0].Sns.Message), arrived: 'message' };
}

describe('the shapes of triggers', () => {
  it.each(SAMPLES)('$sample.json is told to be $shape, and has the field of no other that arrives so', (each) => {
    const { value, arrived } = read(each.sample);

    const fields = SHAPE_NAMES.filter(
      (name) => TRIGGER_SHAPES[name].arrives.some((way) => way === arrived) && TRIGGER_SHAPES[name].field in value,
    );

    expect(shapeOf(value, arrived)).toBe(each.shape);
    expect(fields).toEqual([each.shape]);
  });

  it('have each sample of a trigger once, but those that are refused', () => {
    const files = readdirSync(new URL('events/', root))
      .filter((file) => /^(alarm|alertmanager|manual|schedule)/.test(file))
      .map((file) => file.replace('.json', ''))
      .filter((file) => !file.endsWith('-without-input') && !file.endsWith('-default-text'));

    expect(SAMPLES.map(({ sample }) => sample).toSorted()).toEqual(files.toSorted());
  });

  it.each(SHAPE_NAMES)('%s has a row in docs/triggers.md', (shape) => {
    const page = readFileSync(new URL('docs/triggers.md', root), 'utf8');

    const linked = TRIGGER_SHAPES[shape].samples.filter((sample) => page.includes(`(../events/${sample}.json)`));

    expect(linked).not.toEqual([]);
  });

  it("a state change's sample is what its rule passes on", () => {
    const { rule, samples } = TRIGGER_SHAPES.alarmStateChange;

    for (const sample of samples) {
      expect(read(sample).value).toMatchObject({ source: rule.source, 'detail-type': rule.detailType });
    }
  });
});
