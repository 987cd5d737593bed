import { describe, expect, it } from 'vitest';
import { costOf, costTable, PRICES, type Resources } from './cost.ts';
import { deployedResources } from './example.ts';
import { readPage } from './page.ts';

const page = readPage('docs/cost.md').text;
const resources = deployedResources();

/** Of a page, what stands between two marks. */
function between(text: string, begin: RegExp, end: string): string {
  return text.split(begin)[1]?.split(end)[0]?.trim() ?? '';
}

describe('docs/cost.md', () => {
  it('has the table that the template makes (if not: node_modules/.bin/node test/docs/write-cost.ts)', () => {
    expect(between(page, /<!-- cost: .* -->/, '<!-- /cost -->')).toBe(costTable(costOf(resources)));
  });

  it('names the prices that the table is made with', () => {
    const named = [...page.slice(page.indexOf('## Prices')).matchAll(/\| ([\d.]+) \|$/gm)].map(([, price]) =>
      Number(price),
    );
    const units: Partial<Record<keyof typeof PRICES, number>> = {
      lambdaPerRequest: 1e6,
      durableOperation: 1e6,
      dynamoWriteUnit: 1e6,
      secretCall: 10_000,
      s3Put: 1_000,
      xrayTrace: 1e6,
    };
    const used = (Object.keys(PRICES) as (keyof typeof PRICES)[]).map((name) =>
      Number((PRICES[name] * (units[name] ?? 1)).toPrecision(6)),
    );

    expect(named.sort()).toEqual(used.sort());
  });

  it('counts each alarm and every metric that an alarm looks at, and the probe', () => {
    const lines = new Map(costOf(resources).map((line) => [line.what, line]));

    expect(lines.get('alarms')?.howMuch).toMatch(/^1\d, which look at 1\d metrics$/);
    expect(lines.get('metrics of the probe')?.dollars).toBeCloseTo(4.5);
  });

  it('tells what more a template costs: a key, an endpoint in three zones, traces', () => {
    const probe = Object.entries(resources).find(([, { Properties }]) =>
      String(Properties?.FunctionName).endsWith('-probe'),
    );
    const more: Resources = {
      ...resources,
      Key: { Type: 'AWS::KMS::Key' },
      Endpoint: {
        Type: 'AWS::EC2::VPCEndpoint',
        Properties: { VpcEndpointType: 'Interface', SubnetIds: ['a', 'b', 'c'] },
      },
      Gateway: { Type: 'AWS::EC2::VPCEndpoint', Properties: { VpcEndpointType: 'Gateway' } },
      ...(probe && {
        [probe[0]]: { ...probe[1], Properties: { ...probe[1].Properties, TracingConfig: { Mode: 'Active' } } },
      }),
    };

    const lines = new Map(costOf(more).map(({ what, dollars }) => [what, dollars]));

    expect(lines.get('keys of its own')).toBe(1);
    expect(lines.get('interface endpoints')).toBeCloseTo(3 * 7.3);
    expect(lines.get('X-Ray')).toBeCloseTo(0.219);
  });
});

describe('docs/upgrade-and-removal.md', () => {
  it('names everything that stays when the stack goes, and nothing else', () => {
    const text = between(readPage('docs/upgrade-and-removal.md').text, /<!-- retained: .* -->/, '<!-- /retained -->');
    const named = [...text.matchAll(/`(AWS::\w+::\w+)`/g)].map(([, type]) => type);
    const kept = Object.values(resources).filter(({ DeletionPolicy }) => String(DeletionPolicy).startsWith('Retain'));

    expect([...new Set(named)].sort()).toEqual([...new Set(kept.map(({ Type }) => Type))].sort());
  });
});
