import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../functions/run/environment.ts';
import { InvalidInputError, SetupError } from '../../functions/run/errors.ts';

const ETCD_MEDIC_CLUSTER = JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:2379'] } });
const AWS_LAMBDA_FUNCTION_NAME = 'recover';

describe('the environment', () => {
  it('leaves out what isn’t there, outside of Lambda', () => {
    const environment = readEnvironment({ ETCD_MEDIC_CLUSTER, ETCD_MEDIC_TABLE: '' });

    expect(environment).toMatchObject({ cluster: { name: 'demo' }, table: undefined, bus: undefined, inLambda: false });
  });

  it('has table and bus where they are given', () => {
    const environment = readEnvironment({
      ETCD_MEDIC_CLUSTER,
      ETCD_MEDIC_TABLE: 'state',
      ETCD_MEDIC_BUS: 'default',
      AWS_LAMBDA_FUNCTION_NAME,
    });

    expect(environment).toMatchObject({ table: 'state', bus: 'default', inLambda: true });
  });

  it.each([
    ['ETCD_MEDIC_TABLE', { ETCD_MEDIC_CLUSTER, ETCD_MEDIC_BUS: 'default', AWS_LAMBDA_FUNCTION_NAME }],
    ['ETCD_MEDIC_BUS', { ETCD_MEDIC_CLUSTER, ETCD_MEDIC_TABLE: 'state', AWS_LAMBDA_FUNCTION_NAME }],
    ['ETCD_MEDIC_CLUSTER', { ETCD_MEDIC_TABLE: 'state', ETCD_MEDIC_BUS: 'default', AWS_LAMBDA_FUNCTION_NAME }],
    ['ETCD_MEDIC_CLUSTER', {}],
  ])('fails without %s where it must be there', (name, env) => {
    expect(() => readEnvironment(env)).toThrow(SetupError);
    expect(() => readEnvironment(env)).toThrow(name);
  });

  it.each([
    ['text that is not JSON', '{"name"', 'found text that is not JSON'],
    ['a field that is not known', '{"name":"demo","etcd":{"endpoints":["http://a:1"]},"nmae":1}', 'nmae'],
  ])('says what is wrong with a cluster of %s', (_what, text, problem) => {
    expect(() => readEnvironment({ ETCD_MEDIC_CLUSTER: text })).toThrow(InvalidInputError);
    expect(() => readEnvironment({ ETCD_MEDIC_CLUSTER: text })).toThrow(problem);
  });
});
