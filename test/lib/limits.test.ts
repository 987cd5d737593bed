// Every name and text of the longest configuration against what the service behind it takes: what is too long fails in
// the middle of a deployment.
import { beforeAll, describe, expect, it } from 'vitest';
import { fullCluster, synth } from './synth.ts';

/** 39 characters, the most that the configuration allows. */
const NAME = 'production-in-frankfurt-with-a-long-nam';

/** What CloudFormation fills in, at its longest; of a resource its longest name or ARN. */
const LONGEST: Readonly<Record<string, string>> = {
  'AWS::Region': 'ap-southeast-1',
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws-us-gov',
  'AWS::URLSuffix': 'amazonaws.com.cn',
};
const ANY_ARN = `arn:aws-us-gov:lambda:ap-southeast-1:111122223333:function:${'x'.repeat(64)}:live`;

interface Limit {
  readonly max: number;
  /** The alphabet. @default anything */
  readonly pattern?: RegExp;
}

/**
 * From each service's API reference or quotas. `*` in a path is an entry of a list. A name that is too long for its
 * service is refused, and so is a character that it doesn't know.
 */
const LIMITS: Readonly<Record<string, Limit>> = {
  'AWS::CloudWatch::Alarm AlarmName': { max: 255 },
  'AWS::CloudWatch::Alarm AlarmDescription': { max: 1024 },
  'AWS::CloudWatch::Alarm Dimensions.*.Name': { max: 255, pattern: /^[^:]/ },
  'AWS::CloudWatch::Alarm MetricName': { max: 255 },
  'AWS::CloudWatch::Alarm Metrics.*.Label': { max: 255 },
  'AWS::CloudWatch::Alarm Metrics.*.MetricStat.Metric.Dimensions.*.Name': { max: 255 },
  'AWS::CloudWatch::Alarm Metrics.*.MetricStat.Metric.MetricName': { max: 255 },
  'AWS::CloudWatch::Dashboard DashboardName': { max: 255, pattern: /^[A-Za-z0-9_-]+$/ },
  'AWS::DynamoDB::Table AttributeDefinitions.*.AttributeName': { max: 255 },
  'AWS::DynamoDB::Table KeySchema.*.AttributeName': { max: 255 },
  'AWS::DynamoDB::Table TimeToLiveSpecification.AttributeName': { max: 255 },
  'AWS::EC2::SecurityGroup GroupDescription': { max: 255, pattern: /^[a-zA-Z0-9 ._:/()#,@[\]+=&;{}!$*-]*$/ },
  'AWS::EC2::SecurityGroup SecurityGroupEgress.*.Description': {
    max: 255,
    pattern: /^[a-zA-Z0-9 ._:/()#,@[\]+=&;{}!$*-]*$/,
  },
  'AWS::EC2::SecurityGroup SecurityGroupIngress.*.Description': {
    max: 255,
    pattern: /^[a-zA-Z0-9 ._:/()#,@[\]+=&;{}!$*-]*$/,
  },
  'AWS::EC2::SecurityGroupIngress Description': { max: 255, pattern: /^[a-zA-Z0-9 ._:/()#,@[\]+=&;{}!$*-]*$/ },
  'AWS::EC2::VPCEndpoint ServiceName': { max: 255 },
  'AWS::EventSchemas::Registry RegistryName': { max: 64, pattern: /^[.\-_A-Za-z0-9@]+$/ },
  'AWS::EventSchemas::Schema Description': { max: 256 },
  'AWS::EventSchemas::Schema RegistryName': { max: 64, pattern: /^[.\-_A-Za-z0-9@]+$/ },
  'AWS::EventSchemas::Schema SchemaName': { max: 385, pattern: /^[.\-_A-Za-z0-9@]+$/ },
  'AWS::Events::Rule Description': { max: 512 },
  'AWS::IAM::Policy PolicyName': { max: 128, pattern: /^[\w+=,.@-]+$/ },
  'AWS::IAM::Role Description': { max: 1000 },
  'AWS::IAM::Role Policies.*.PolicyName': { max: 128, pattern: /^[\w+=,.@-]+$/ },
  'AWS::Lambda::Alias Description': { max: 256 },
  'AWS::Lambda::Alias FunctionName': { max: 140 },
  'AWS::Lambda::Alias Name': { max: 128, pattern: /^(?!^[0-9]+$)([a-zA-Z0-9-_]+)$/ },
  'AWS::Lambda::EventInvokeConfig FunctionName': { max: 140 },
  'AWS::Lambda::Function Description': { max: 256 },
  'AWS::Lambda::Function FunctionName': { max: 64, pattern: /^[a-zA-Z0-9-_]+$/ },
  'AWS::Lambda::Permission FunctionName': { max: 170 },
  'AWS::Lambda::Version FunctionName': { max: 140 },
  'AWS::SNS::Topic DisplayName': { max: 100 },
  'AWS::SNS::Topic TopicName': { max: 256, pattern: /^[A-Za-z0-9_-]+$/ },
  'AWS::SSM::Document Name': { max: 128, pattern: /^[a-zA-Z0-9_\-.]{3,128}$/ },
  'AWS::SSM::Parameter Description': { max: 1024 },
  'AWS::SSM::Parameter Name': { max: 1011, pattern: /^[a-zA-Z0-9_.\-/]+$/ },
  'AWS::SecretsManager::Secret Description': { max: 2048 },
  'AWS::Scheduler::Schedule Description': { max: 512 },
  'AWS::Scheduler::Schedule Name': { max: 64, pattern: /^[0-9a-zA-Z-_.]+$/ },
};

/** EventBridge, "Quotas": an event pattern; IAM, "Character limits": all inline policies of a role, without blanks. */
const MAX_EVENT_PATTERN = 2048;
const MAX_INLINE_POLICIES = 10_240;
/** CloudFormation, "Quotas". */
const MAX_STACK_NAME = 128;
const MAX_RESOURCES = 500;
const MAX_TEMPLATE_BYTES = 1_000_000;
const MAX_TEMPLATE_DESCRIPTION_BYTES = 1024;
const MAX_OUTPUT_DESCRIPTION_BYTES = 1024;

interface Template {
  readonly Description: string;
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties?: object }>>;
  readonly Outputs: Readonly<Record<string, { readonly Description?: string }>>;
}

let template: Template;
let stackName: string;

beforeAll(() => {
  const issued = { issued: true };
  using synthesis = synth([
    {
      ...fullCluster,
      name: NAME,
      etcd: { endpoints: fullCluster.etcd.endpoints, credentials: issued },
      kubernetes: { ...fullCluster.kubernetes, credentials: issued },
      network: { ...fullCluster.network, dnsServers: ['10.0.0.53'] },
      console: { registry: 'create' },
      notify: { emails: ['night@example.com'], topicArns: ['arn:aws:sns:eu-central-1:111122223333:on-call'] },
    },
  ]);
  stackName = synthesis.stacks[0]?.stackName ?? '';
  template = synthesis.template().toJSON() as Template;
});

describe('the template of a cluster with the longest name', () => {
  it('has nothing that is longer than its service takes, or of other characters', () => {
    expect(NAME).toHaveLength(39);
    const wrong = texts()
      .map(({ what, text }) => ({ what, text, limit: LIMITS[what] }))
      .filter(({ text, limit }) => limit && (text.length > limit.max || limit.pattern?.test(text) === false))
      .map(({ what, text }) => `${what}: ${text.length} characters: ${text}`);

    expect(wrong).toEqual([]);
  });

  it('has no name and no description of which nobody has looked up how long it may be', () => {
    const unknown = texts()
      .map(({ what }) => what)
      .filter((what) => !Object.hasOwn(LIMITS, what));

    expect(texts().length).toBeGreaterThan(100);
    expect([...new Set(unknown)].sort()).toEqual([]);
  });

  it('has event patterns and inline policies that fit', () => {
    const resources = Object.values(template.Resources);
    const patterns = resources.flatMap(({ Properties }) => propertyOf(Properties, 'EventPattern') ?? []);
    const roles = resources.filter(({ Type }) => Type === 'AWS::IAM::Role');
    const policies = roles.map(({ Properties }) => JSON.stringify(filled(propertyOf(Properties, 'Policies') ?? [])));

    expect(patterns.length).toBeGreaterThan(2);
    expect(
      patterns.map((pattern) => JSON.stringify(filled(pattern)).length).filter((n) => n > MAX_EVENT_PATTERN),
    ).toEqual([]);
    expect(policies.map(({ length }) => length).filter((n) => n > MAX_INLINE_POLICIES)).toEqual([]);
  });

  it('is a stack that CloudFormation takes', () => {
    expect(stackName.length).toBeLessThanOrEqual(MAX_STACK_NAME);
    expect(stackName).toMatch(/^[a-zA-Z][-a-zA-Z0-9]*$/);
    expect(Object.keys(template.Resources).length).toBeLessThanOrEqual(MAX_RESOURCES);
    expect(Buffer.byteLength(JSON.stringify(template, undefined, 1))).toBeLessThan(MAX_TEMPLATE_BYTES);
    expect(Buffer.byteLength(template.Description)).toBeLessThanOrEqual(MAX_TEMPLATE_DESCRIPTION_BYTES);
    const descriptions = Object.values(template.Outputs).map(({ Description = '' }) => Buffer.byteLength(Description));
    expect(Math.max(...descriptions)).toBeLessThanOrEqual(MAX_OUTPUT_DESCRIPTION_BYTES);
  });
});

/** Every name, description and label in the template, as `<type> <path>`. */
function texts(): { what: string; text: string }[] {
  return Object.values(template.Resources).flatMap(({ Type, Properties = {} }) =>
    namedIn(Properties, []).map(({ path, value }) => ({ what: `${Type} ${path.join('.')}`, text: textOf(value) })),
  );
}

const NAMES = /(Name|Description|Label)$/;
/** The user's own data, a service's contents, or a name that CloudFormation gives back. */
const NOT_LOOKED_INTO =
  /^(Tags|Content|EventPattern|PolicyDocument|AssumeRolePolicyDocument|Environment|DashboardBody|Code)$/;

function namedIn(value: unknown, path: readonly string[]): { path: readonly string[]; value: unknown }[] {
  if (Array.isArray(value)) return value.flatMap((entry) => namedIn(entry, [...path, '*']));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (NOT_LOOKED_INTO.test(key) || key.startsWith('Fn::') || key === 'Ref') return [];
    if (NAMES.test(key)) return [{ path: [...path, key], value: inner }];
    return namedIn(inner, [...path, key]);
  });
}

function propertyOf(properties: object | undefined, name: string): unknown {
  return properties === undefined ? undefined : Reflect.get(properties, name);
}

function textOf(value: unknown): string {
  const text = filled(value);
  return typeof text === 'string' ? text : JSON.stringify(text);
}

/** With what CloudFormation puts in its functions' places. */
function filled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [[name, argument] = ['', undefined]] = entries;
  if (entries.length === 1 && name === 'Ref') return LONGEST[String(argument)] ?? ANY_ARN;
  if (entries.length === 1 && name === 'Fn::GetAtt') return ANY_ARN;
  if (entries.length === 1 && name === 'Fn::Join' && Array.isArray(argument)) {
    return argument[1].map((part: unknown) => textOf(part)).join(argument[0]);
  }
  return Object.fromEntries(entries.map(([key, inner]) => [key, filled(inner)]));
}
