import { Match, type Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { permissionsOf } from './permissions.ts';
import { fullCluster, type Synthesis, synth } from './synth.ts';

const KEY = fullCluster.encryptionKeyArn;
const BY_KEY = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

let synthesis: Synthesis;
let template: Template;
beforeAll(() => {
  synthesis = synth([{ ...fullCluster, kubernetes: { ...fullCluster.kubernetes, credentials: { issued: true } } }]);
  template = synthesis.template();
});
afterAll(() => synthesis?.[Symbol.dispose]());

describe('a stack with everything that can be asked for', () => {
  it('has no finding of AWS Solutions and no warning of the CDK', () => {
    expect(synthesis.solutionsFindings()).toEqual([]);
    expect(synthesis.annotations()).toEqual([]);
  });

  it('has the functions in the VPC that reach etcd or the API server, each with its own group, and the others outside', () => {
    const groups = functions().map(([name, { VpcConfig }]) => [
      name,
      VpcConfig?.SecurityGroupIds.map(groupOf) ?? 'outside',
    ]);

    expect(Object.fromEntries(groups)).toEqual({
      credentials: ['ApiServer'],
      dispatch: 'outside',
      maintain: ['Etcd'],
      notify: 'outside',
      probe: ['Etcd'],
      prune: ['ApiServer'],
      recover: ['Etcd'],
      widget: 'outside',
    });
  });

  it('tells of the endpoints only the functions in the VPC, which alone can reach them', () => {
    const told = functions().map(([name, { VpcConfig, Environment }]) => [
      name,
      VpcConfig !== undefined,
      Object.keys(Environment.Variables).filter((key) => key.startsWith('AWS_ENDPOINT_URL')).length,
    ]);

    expect(told.filter(([, inVpc, endpoints]) => endpoints !== (inVpc ? 4 : 0))).toEqual([]);
  });

  it('traces every function with X-Ray, and reserves no concurrency, of which a new account has ten', () => {
    const settings = functions().map(([, { TracingConfig, ReservedConcurrentExecutions }]) => [
      TracingConfig?.Mode,
      ReservedConcurrentExecutions,
    ]);

    expect(new Set(settings.map((each) => JSON.stringify(each)))).toEqual(new Set(['["Active",null]']));
  });

  it('says on everything that bears tags which cluster it is for', () => {
    const untagged = Object.values<Resource>(template.toJSON().Resources)
      .filter(({ Properties = {} }) => !JSON.stringify(Properties.Tags ?? '').match(/etcd-medic:cluster"?:? ?.*demo/))
      .map(({ Type }) => Type);

    // None of these can bear any, but for the dashboard, whose tags some regions refuse.
    expect([...new Set(untagged)].sort()).toEqual(
      [
        'AWS::CloudWatch::Dashboard',
        'AWS::EC2::SecurityGroupIngress',
        'AWS::IAM::Policy',
        'AWS::Lambda::Alias',
        'AWS::Lambda::EventInvokeConfig',
        'AWS::Lambda::Permission',
        'AWS::Lambda::Version',
        'AWS::S3::BucketPolicy',
        'AWS::SecretsManager::RotationSchedule',
        'AWS::SNS::Subscription',
        'AWS::SNS::TopicPolicy',
        'AWS::SQS::QueuePolicy',
        'AWS::Scheduler::Schedule',
      ].sort(),
    );
    template.allResourcesProperties('AWS::DynamoDB::Table', {
      Tags: Match.arrayWith([{ Key: 'app', Value: 'etcd-medic' }]),
    });
  });

  it('encrypts table and bucket by the user’s key', () => {
    template.hasResourceProperties('AWS::DynamoDB::Table', {
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS', KMSMasterKeyId: KEY },
    });
    template.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          {
            BucketKeyEnabled: true,
            ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: KEY },
          },
        ],
      },
    });
  });

  it.each([
    ['recover', { dynamodb: BY_KEY, s3: ['kms:Decrypt', 'kms:GenerateDataKey'], secretsmanager: ['kms:Decrypt'] }],
    ['maintain', { dynamodb: BY_KEY, s3: ['kms:Decrypt', 'kms:GenerateDataKey'], secretsmanager: ['kms:Decrypt'] }],
    ['prune', { dynamodb: BY_KEY, secretsmanager: ['kms:Decrypt'] }],
    ['probe', { dynamodb: BY_KEY, secretsmanager: ['kms:Decrypt'] }],
    ['notify', { dynamodb: BY_KEY }],
    ['widget', { dynamodb: BY_KEY }],
    ['dispatch', {}],
  ])('lets %s use the key through the services that it calls, and in no other way', (name, services) => {
    const permissions = permissionsOf(template, `etcd-medic-demo-${name}`).filter((line) => line.includes('kms:'));

    const expected = Object.entries(services).flatMap(([service, actions]) =>
      actions.map(
        (action) =>
          `Allow ${action} on ${KEY} if { StringEquals: { kms:ViaService: ${service}.\${AWS::Region}.\${AWS::URLSuffix} } }`,
      ),
    );
    expect(permissions).toEqual(expected.sort());
  });
});

interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}

/** Name and properties, sorted. */
function functions() {
  return Object.values(template.findResources('AWS::Lambda::Function'))
    .map(({ Properties }) => [Properties.FunctionName.replace('etcd-medic-demo-', ''), Properties] as const)
    .sort(([a], [b]) => a.localeCompare(b));
}

function groupOf(id: object): string | undefined {
  return /Network(\w+?)SecurityGroup/.exec(JSON.stringify(id))?.[1];
}
