import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../functions/contract/environment.ts';
import { InvalidInputError, SetupError } from '../../functions/contract/errors.ts';

const ETCD_MEDIC_CLUSTER = JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:2379'] } });
const AWS_LAMBDA_FUNCTION_NAME = 'recover';

describe('the environment', () => {
  it('leaves out what isn’t there, outside of Lambda', () => {
    const environment = readEnvironment({ ETCD_MEDIC_CLUSTER, ETCD_MEDIC_TABLE: '' });

    expect(environment).toMatchObject({ cluster: { name: 'demo' }, table: undefined, bus: undefined, inLambda: false });
  });

  const inLambda = {
    ETCD_MEDIC_CLUSTER,
    ETCD_MEDIC_TABLE: 'state',
    ETCD_MEDIC_BUS: 'default',
    ETCD_MEDIC_SWITCH: '/etcd-medic/demo/mode',
    ETCD_MEDIC_SNAPSHOT_BUCKET: 'snapshots',
    AWS_LAMBDA_FUNCTION_NAME,
  };

  it('has all that a run needs where it is given', () => {
    expect(readEnvironment(inLambda)).toMatchObject({
      table: 'state',
      bus: 'default',
      switchParameter: '/etcd-medic/demo/mode',
      snapshotBucket: 'snapshots',
      inLambda: true,
    });
  });

  it.each([
    ['is switched off', false, undefined],
    ['has a bucket of its own', { bucket: 'mine' }, 'mine'],
  ])('needs no bucket of the stack where the snapshot %s', (_what, snapshot, expected) => {
    const cluster = JSON.stringify({ ...JSON.parse(ETCD_MEDIC_CLUSTER), snapshot });

    const environment = readEnvironment({
      ...inLambda,
      ETCD_MEDIC_CLUSTER: cluster,
      ETCD_MEDIC_SNAPSHOT_BUCKET: undefined,
    });

    expect(environment.snapshotBucket).toBe(expected);
  });

  it.each(Object.keys(inLambda).filter((name) => name !== 'AWS_LAMBDA_FUNCTION_NAME'))(
    'fails in Lambda without %s',
    (name) => {
      const env = { ...inLambda, [name]: undefined };

      expect(() => readEnvironment(env)).toThrow(SetupError);
      expect(() => readEnvironment(env)).toThrow(name);
    },
  );

  it('fails anywhere without a cluster', () => {
    expect(() => readEnvironment({})).toThrow('ETCD_MEDIC_CLUSTER');
  });

  it.each([
    ['text that is not JSON', '{"name"', 'found text that is not JSON'],
    ['a field that is not known', '{"name":"demo","etcd":{"endpoints":["http://a:1"]},"nmae":1}', 'nmae'],
  ])('says what is wrong with a cluster of %s', (_what, text, problem) => {
    expect(() => readEnvironment({ ETCD_MEDIC_CLUSTER: text })).toThrow(InvalidInputError);
    expect(() => readEnvironment({ ETCD_MEDIC_CLUSTER: text })).toThrow(problem);
  });
});
