// What of a template tells whether an upgrade loses something: each resource's type, what becomes of it when it goes,
// and the properties that CloudFormation can change only by making another one.
//
// Run with the files of a template and of the cluster's configuration that it was synthesised from, it prints what is
// kept here of that version, for the next one to be compared with.
import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';

/**
 * The property that is a resource's own name, of which there can be one in an account and region. Left out,
 * CloudFormation makes one.
 */
export const NAMED_BY: Readonly<Record<string, string>> = {
  'AWS::CloudWatch::Alarm': 'AlarmName',
  'AWS::CloudWatch::Dashboard': 'DashboardName',
  'AWS::DynamoDB::Table': 'TableName',
  'AWS::EC2::SecurityGroup': 'GroupName',
  'AWS::EventSchemas::Registry': 'RegistryName',
  'AWS::EventSchemas::Schema': 'SchemaName',
  'AWS::Events::Rule': 'Name',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::S3::Bucket': 'BucketName',
  'AWS::SNS::Topic': 'TopicName',
  'AWS::SQS::Queue': 'QueueName',
  'AWS::SSM::Document': 'Name',
  'AWS::SSM::Parameter': 'Name',
  'AWS::Scheduler::Schedule': 'Name',
  'AWS::SecretsManager::Secret': 'Name',
};

/**
 * What holds something that an upgrade must not lose, and besides its name the properties of "Update requires:
 * Replacement" in CloudFormation's resource reference, the same in the CDK's database of resources. Of a document those
 * that its update method, `NewVersion`, leaves; that Lambda decides on durability when a function is made,
 * CloudFormation doesn't say.
 */
export const KEPT: Readonly<Record<string, readonly string[]>> = {
  'AWS::CloudWatch::Alarm': [],
  'AWS::CloudWatch::Dashboard': [],
  'AWS::DynamoDB::Table': ['KeySchema', 'ImportSourceSpecification'],
  'AWS::EC2::SecurityGroup': ['GroupDescription', 'VpcId'],
  // A route table takes no second gateway endpoint.
  'AWS::EC2::VPCEndpoint': ['VpcId', 'ServiceName', 'VpcEndpointType'],
  'AWS::EventSchemas::Registry': [],
  'AWS::EventSchemas::Schema': ['RegistryName'],
  'AWS::Events::Rule': ['EventBusName'],
  'AWS::Lambda::Alias': ['FunctionName', 'Name'],
  'AWS::Lambda::Function': ['PackageType', 'TenancyConfig', 'DurableConfig'],
  'AWS::Logs::LogGroup': [],
  'AWS::S3::Bucket': ['ObjectLockEnabled', 'BucketNamespace', 'BucketNamePrefix'],
  'AWS::SNS::Subscription': ['Endpoint', 'Protocol', 'TopicArn'],
  'AWS::SNS::Topic': ['FifoTopic'],
  'AWS::SQS::Queue': ['FifoQueue'],
  'AWS::SSM::Document': ['DocumentType', 'UpdateMethod'],
  'AWS::SSM::Parameter': [],
  'AWS::Scheduler::Schedule': [],
  'AWS::SecretsManager::RotationSchedule': ['SecretId'],
  'AWS::SecretsManager::Secret': [],
};

/** Permissions and settings, which may be made anew: they hold nothing, and nobody knows them by their names. */
export const REPLACEABLE: readonly string[] = [
  'AWS::EC2::SecurityGroupIngress',
  'AWS::IAM::Policy',
  'AWS::IAM::Role',
  'AWS::Lambda::EventInvokeConfig',
  'AWS::Lambda::Permission',
  // New with each change of the code, and kept by its own policy.
  'AWS::Lambda::Version',
  'AWS::S3::BucketPolicy',
  'AWS::SNS::TopicPolicy',
  'AWS::SQS::QueuePolicy',
];

const resource = z.object({
  Type: z.string(),
  DeletionPolicy: z.optional(z.string()),
  Properties: z._default(z.record(z.string(), z.unknown()), {}),
});
const templateSchema = z.object({ Resources: z.record(z.string(), resource) });

export const versionSchema = z.strictObject({
  /** The cluster, as it was configured. */
  configuration: z.record(z.string(), z.unknown()),
  Resources: z.record(z.string(), resource),
});

export type Resources = z.output<typeof templateSchema>['Resources'];

export type Resource = Resources[string];

/** @param template of CloudFormation */
export function identitiesIn(template: unknown): Resources {
  const { Resources } = templateSchema.parse(template);
  return Object.fromEntries(
    Object.entries(Resources).map(([id, { Type, Properties, ...policy }]) => {
      const kept = [NAMED_BY[Type] ?? [], KEPT[Type] ?? []].flat().flatMap((name): [string, unknown][] => {
        const value = Properties[name];
        // How long a durable function may take is changed in place.
        return value === undefined ? [] : [[name, name === 'DurableConfig' ? {} : value]];
      });
      return [id, { Type, ...policy, Properties: Object.fromEntries(kept) }];
    }),
  );
}

/** The name that the template gives it, undefined where CloudFormation makes one. */
export function nameOf({ Type, Properties }: Resource): unknown {
  return Properties[NAMED_BY[Type] ?? ''];
}

if (import.meta.main) {
  const [template, configuration] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')));
  process.stdout.write(`${JSON.stringify({ configuration, Resources: identitiesIn(template) }, undefined, 2)}\n`);
}
