import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { fullCluster, synth } from './synth.ts';

/**
 * Lambda's quota "Environment variables: 4 KB, for all environment variables associated with the function, in
 * aggregate".
 */
const LIMIT_BYTES = 4096;
/** The longest name that a cluster may have. */
const name = 'production-in-frankfurt-with-a-long-name';
const issued = { issued: true };
const files = (folder: string) => ({
  caFile: `${folder}/ca.crt`,
  caKeyFile: `${folder}/ca.key`,
  serverCaFile: `${folder}/ca.crt`,
});

const EVERYTHING = {
  ...fullCluster,
  name: name.slice(0, 39),
  etcd: { endpoints: fullCluster.etcd.endpoints, credentials: issued },
  kubernetes: { ...fullCluster.kubernetes, credentials: issued },
};
const { routeTableIds: _, endpoints: __, ...network } = fullCluster.network;
const LONG_PATHS = { etcd: files(`/${'a'.repeat(62)}`), kubernetes: files(`/${'b'.repeat(62)}/${'c'.repeat(62)}`) };

describe('the functions’ environment', () => {
  it.each([
    ['everything', EVERYTHING, 'maintain'],
    [
      'IPv6 and a bucket of its user',
      { ...EVERYTHING, network: { ...network, ipv6: true }, snapshot: { bucket: 'b'.repeat(63) } },
      'maintain',
    ],
    ['etcd and nothing else', { name: 'lab', etcd: { endpoints: ['http://10.0.0.11:2379'] } }, 'maintain'],
    [
      'authorities in places of their own',
      { ...EVERYTHING, nodes: { ...EVERYTHING.nodes, authorities: LONG_PATHS } },
      'credentials',
    ],
  ])(
    'is filled to Lambda’s limit and not a byte beyond, wherever the stack is deployed: %s',
    (_what, cluster, fullest) => {
      const long = refusal(paddedBy(5_000, cluster));
      const most = 5_000 - Number(/(\d+) bytes more than that/.exec(long)?.[1]);

      const fits = paddedBy(most, cluster);
      using synthesis = synth([fits]);
      const sizes = sizesOf(synthesis.template(`etcd-medic-${cluster.name}`));
      const tooLong = refusal(paddedBy(most + 1, cluster));

      expect(long).toMatch(/The longest fields, to be shortened: alarms \(5\d\d\d bytes\), /);
      expect(Math.max(...sizes.values())).toBe(LIMIT_BYTES);
      expect(tooLong).toMatch(
        new RegExp(
          `^cluster "${cluster.name}": .* found 4097 bytes of environment for the function etcd-medic-${cluster.name}-${fullest}, expected at most 4096`,
        ),
      );
    },
  );

  it('names the authorities’ paths where it is these that are too long', () => {
    const authority = files(`/${'a'.repeat(62)}`.repeat(15));

    expect(refusal({ ...EVERYTHING, nodes: { ...EVERYTHING.nodes, authorities: { etcd: authority } } })).toMatch(
      /-credentials, .*to be shortened: nodes\.authorities \(\d{4} bytes\)/,
    );
  });

  it('has the authorities of its user in the function that signs by them, and in no other', () => {
    using synthesis = synth([{ ...EVERYTHING, nodes: { ...EVERYTHING.nodes, authorities: LONG_PATHS } }]);

    const holding = environments(synthesis.template())
      .filter(([, variables]) => JSON.stringify(variables).includes(LONG_PATHS.etcd.caFile))
      .map(([fn, variables]) => [
        fn,
        Object.entries(variables)
          .filter(([, value]) => value.includes(LONG_PATHS.etcd.caFile))
          .map(([key]) => key),
      ]);

    expect(holding).toEqual([[`etcd-medic-${EVERYTHING.name}-credentials`, ['ETCD_MEDIC_ISSUED']]]);
  });
});

/** An alarm whose name is so much longer. */
function paddedBy(bytes: number, cluster: object): object {
  return { ...cluster, alarms: [{ name: 'a'.repeat(bytes), workflow: 'recover' }] };
}

function refusal(cluster: object): string {
  try {
    synth([cluster]);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

/** As Lambda measures it: all variables as one JSON text. */
function sizesOf(template: Template): Map<string, number> {
  return new Map(environments(template).map(([fn, variables]) => [fn, Buffer.byteLength(JSON.stringify(variables))]));
}

/** What CloudFormation would make of the template where everything has its longest name. */
function environments(template: Template): [fn: string, variables: Record<string, string>][] {
  const all: Readonly<Record<string, Resource>> = template.toJSON().Resources;
  return Object.values(all)
    .filter(({ Type }) => Type === 'AWS::Lambda::Function')
    .map(({ Properties: { FunctionName, Environment } }) => {
      const variables = Object.entries(Object(Environment).Variables);
      return [String(FunctionName), Object.fromEntries(variables.map(([key, value]) => [key, deployed(value, all)]))];
    });
}

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

const HERE = 'ap-southeast-1:111122223333';

function deployed(value: unknown, all: Readonly<Record<string, Resource>>): string {
  if (typeof value === 'string') return value;
  const { Ref: id, 'Fn::Join': join, 'Fn::GetAtt': attribute, 'Fn::Select': select } = Object(value);
  if (join) return join[1].map((part: unknown) => deployed(part, all)).join(join[0]);
  if (select) return endpointName(JSON.stringify(select), all);
  const target = String(id ?? attribute[0]);
  const { Type, Properties = {} } = all[target] ?? {};
  const arn = (service: string, rest: unknown) => `arn:aws-us-gov:${service}:${HERE}:${rest}`;
  switch (Type) {
    case 'AWS::DynamoDB::Table':
      return `${stackOf(all)}-${target}-1ABCDEFGHIJKL`;
    case 'AWS::S3::Bucket':
      return `${stackOf(all)}-${target.toLowerCase()}-1abcdefghijkl`.slice(0, 63);
    case 'AWS::SSM::Parameter':
      return String(Properties.Name);
    case 'AWS::SNS::Topic':
      return arn('sns', Properties.TopicName);
    case 'AWS::SecretsManager::Secret':
      return arn('secretsmanager', `secret:${target}-1ABCDEFGHIJKL-4PtGfK`);
    case 'AWS::Lambda::Function':
      return arn('lambda', `function:${Properties.FunctionName}`);
    case 'AWS::Lambda::Alias':
      return `${deployed(Properties.FunctionName, all)}:${Properties.Name}`;
    default:
      throw new Error(`a variable refers to ${target}, which is ${Type}: how long can that be?`);
  }
}

/** As in the endpoints' documentation: vpce-1234567890abcdef0-1a2b3c4d.lambda.us-east-1.vpce.amazonaws.com. */
function endpointName(select: string, all: Readonly<Record<string, Resource>>): string {
  const [, id = ''] = /"Fn::GetAtt":\["(\w+)","DnsEntries"\]/.exec(select) ?? [];
  const service = JSON.stringify(all[id]?.Properties.ServiceName).match(/\.(\w+)"\]\]\}$/)?.[1];
  return `vpce-1234567890abcdef0-1a2b3c4d.${service}.ap-southeast-1.vpce.amazonaws.com.cn`;
}

function stackOf(all: Readonly<Record<string, Resource>>): string {
  const topic = Object.values(all).find(({ Type }) => Type === 'AWS::SNS::Topic');
  return String(topic?.Properties.TopicName);
}
