// A template that was deployed before, against what the same configuration gives today: what is kept in it must stay where it is.
//
// recovery-only.json is the template of the version that had dispatch and recover alone, with the configuration below, synthesised
// without packing any function, and the hashes of its assets taken out.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { type Synthesis, sampleCluster, synth } from '../synth.ts';

const configuration = { ...sampleCluster, nodes: { tag: { key: 'kubernetes.io/cluster/demo', value: 'owned' } } };

const resource = z.looseObject({
  Type: z.string(),
  Properties: z._default(z.record(z.string(), z.unknown()), {}),
  DeletionPolicy: z.optional(z.string()),
});
const templateSchema = z.looseObject({ Resources: z.record(z.string(), resource) });
type Resource = z.output<typeof resource>;

/**
 * What holds something that a deployment must not lose, and its properties that CloudFormation can change only by making another one
 * ("Update requires: Replacement" in its resource reference; the same in the CDK's database of resources). Durability is none of them
 * there, but Lambda takes it at creation only.
 */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  'AWS::DynamoDB::Table': ['TableName', 'KeySchema', 'ImportSourceSpecification'],
  'AWS::S3::Bucket': ['BucketName', 'ObjectLockEnabled', 'BucketNamespace', 'BucketNamePrefix'],
  'AWS::SecretsManager::Secret': ['Name'],
  'AWS::Lambda::Function': ['FunctionName', 'PackageType', 'TenancyConfig'],
  'AWS::Lambda::Alias': ['FunctionName', 'Name'],
  'AWS::SQS::Queue': ['QueueName', 'FifoQueue'],
  'AWS::SSM::Parameter': ['Name'],
};

const before = templateSchema.parse(
  JSON.parse(readFileSync(path.join(import.meta.dirname, 'recovery-only.json'), 'utf8')),
).Resources;
const ofType = (type: string) => Object.entries(before).filter(([, { Type }]) => Type === type);
const kept = Object.entries(before).filter(([, { Type }]) => Object.hasOwn(KEPT, Type));

let synthesis: Synthesis;
let after: Readonly<Record<string, Resource>>;
beforeAll(() => {
  synthesis = synth([configuration]);
  after = templateSchema.parse(synthesis.template().toJSON()).Resources;
});
afterAll(() => synthesis?.[Symbol.dispose]());

describe('an upgrade from the version that had recovery alone', () => {
  it('starts from a table, a bucket, a durable function, the switch and the dead letters', () => {
    expect(kept.map(([, { Type }]) => Type).sort()).toEqual([
      'AWS::DynamoDB::Table',
      'AWS::Lambda::Alias',
      'AWS::Lambda::Function',
      'AWS::Lambda::Function',
      'AWS::S3::Bucket',
      'AWS::SQS::Queue',
      'AWS::SSM::Parameter',
    ]);
    expect(ofType('AWS::Lambda::Function').filter(([, fn]) => fn.Properties.DurableConfig !== undefined)).toHaveLength(
      1,
    );
  });

  it.each(kept)('neither removes nor replaces %s', (id, { Type, Properties }) => {
    const now = after[id];

    expect(now?.Type).toBe(Type);
    for (const property of KEPT[Type] ?? []) {
      expect(now?.Properties[property], property).toEqual(Properties[property]);
    }
    expect(now?.Properties.DurableConfig === undefined).toBe(Properties.DurableConfig === undefined);
  });

  it('keeps what outlived its stack as one that does', () => {
    const retained = Object.entries(before).filter(([, { DeletionPolicy }]) => DeletionPolicy === 'Retain');

    const lost = retained.filter(
      ([id, { Type }]) => Type !== 'AWS::Lambda::Version' && after[id]?.DeletionPolicy !== 'Retain',
    );

    expect(retained.map(([, { Type }]) => Type).sort()).toEqual([
      'AWS::DynamoDB::Table',
      'AWS::Lambda::Version',
      'AWS::S3::Bucket',
    ]);
    expect(lost).toEqual([]);
  });

  it('makes nothing anew under a name that is taken: CloudFormation creates before it removes', () => {
    const names = Object.entries(before).flatMap(([id, { Type, Properties }]) =>
      Object.entries(Properties)
        .filter(([property, value]) => /Name$/.test(property) && typeof value === 'string')
        .map(([property, value]) => ({ id, Type, property, value })),
    );

    const moved = names.filter(({ id, Type, property, value }) =>
      Object.entries(after).some(
        ([other, now]) => other !== id && now.Type === Type && now.Properties[property] === value,
      ),
    );

    expect(names.length).toBeGreaterThan(3);
    expect(moved.filter(({ Type }) => Type !== 'AWS::Lambda::Alias')).toEqual([]);
  });
});
