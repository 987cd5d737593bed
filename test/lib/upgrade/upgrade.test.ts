// Templates that were deployed before, against what the same configurations give today: what is kept in them must stay
// where it is.
//
// recovery-only.json is of the version that had dispatch and recover alone, whole-stack.json of the first one with
// everything that can be configured; identity.ts has made them of the templates.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { synth } from '../synth.ts';
import { identitiesIn, KEPT, NAMED_BY, nameOf, REPLACEABLE, type Resources, versionSchema } from './identity.ts';

const VERSIONS = {
  'recovery-only': {
    durable: ['recover'],
    retained: ['AWS::DynamoDB::Table', 'AWS::S3::Bucket'],
    counts: { 'AWS::SQS::Queue': 1, 'AWS::SSM::Parameter': 1, 'AWS::SSM::Document': 2 },
  },
  'whole-stack': {
    durable: ['maintain', 'prune', 'recover'],
    retained: [
      'AWS::DynamoDB::Table',
      'AWS::EventSchemas::Registry',
      'AWS::S3::Bucket',
      'AWS::SecretsManager::Secret',
      'AWS::SecretsManager::Secret',
    ],
    counts: {
      'AWS::CloudWatch::Dashboard': 1,
      'AWS::EC2::SecurityGroup': 3,
      'AWS::EC2::VPCEndpoint': 6,
      'AWS::Lambda::Alias': 3,
      'AWS::Lambda::Function': 8,
      'AWS::SNS::Subscription': 2,
      'AWS::SNS::Topic': 1,
      'AWS::SSM::Document': 3,
      'AWS::Scheduler::Schedule': 2,
      'AWS::SecretsManager::RotationSchedule': 2,
    },
  },
} as const;

describe.each(Object.entries(VERSIONS))('an upgrade from the version %s', (version, { durable, retained, counts }) => {
  const { configuration, Resources: before } = versionSchema.parse(
    JSON.parse(readFileSync(path.join(import.meta.dirname, `${version}.json`), 'utf8')),
  );
  const kept = Object.entries(before).filter(([, { Type }]) => Object.hasOwn(KEPT, Type));
  const lasting = Object.entries(before).filter(
    ([, { Type, DeletionPolicy }]) => Type !== 'AWS::Lambda::Version' && DeletionPolicy?.startsWith('Retain'),
  );

  let after: Resources;
  beforeAll(() => {
    using synthesis = synth([configuration]);
    after = identitiesIn(synthesis.template().toJSON());
  });

  it('starts from what that version had', () => {
    const types = Object.values(before).map(({ Type }) => Type);
    const durableFunctions = Object.values(before).filter(({ Properties }) => Properties.DurableConfig !== undefined);

    expect(
      Object.fromEntries(Object.keys(counts).map((type) => [type, types.filter((each) => each === type).length])),
    ).toEqual(counts);
    expect(durableFunctions.map(({ Properties }) => Properties.FunctionName).sort()).toEqual(
      durable.map((name) => `etcd-medic-demo-${name}`),
    );
    expect(lasting.map(([, { Type }]) => Type).sort()).toEqual(retained);
  });

  it('knows of every type whether it has something to lose', () => {
    const unknown = [...Object.values(before), ...Object.values(after)]
      .map(({ Type }) => Type)
      .filter((type) => !Object.hasOwn(KEPT, type) && !REPLACEABLE.includes(type));

    expect([...new Set(unknown)]).toEqual([]);
  });

  it.each(kept)('neither removes nor replaces %s', (id, { Type, Properties }) => {
    const now = after[id];

    expect(now?.Type).toBe(Type);
    for (const property of [NAMED_BY[Type] ?? [], KEPT[Type] ?? []].flat()) {
      expect(now?.Properties[property], property).toEqual(Properties[property]);
    }
  });

  it('keeps what outlived its stack as one that does', () => {
    const lost = lasting.filter(([id]) => !after[id]?.DeletionPolicy?.startsWith('Retain'));

    expect(lost).toEqual([]);
  });

  it('makes nothing anew under a name that is taken: CloudFormation creates before it removes', () => {
    const named = Object.entries(before).filter(([, resource]) => nameOf(resource) !== undefined);

    const moved = named.filter(([id, resource]) =>
      Object.entries(after).some(
        ([other, now]) => other !== id && now.Type === resource.Type && nameOf(now) === nameOf(resource),
      ),
    );

    expect(named.length).toBeGreaterThan(3);
    expect(moved).toEqual([]);
  });
});
