// The commands of the AWS CLI that a page shows, and whether there are such: held against what the SDK knows of each
// service.
import * as dynamodb from '@aws-sdk/client-dynamodb';
import * as lambda from '@aws-sdk/client-lambda';
import * as s3 from '@aws-sdk/client-s3';
import * as secretsmanager from '@aws-sdk/client-secrets-manager';
import * as sns from '@aws-sdk/client-sns';
import * as ssm from '@aws-sdk/client-ssm';

export interface AwsCommand {
  readonly service: string;
  readonly operation: string;
  /** Without their dashes. */
  readonly options: readonly string[];
}

const SERVICES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  dynamodb,
  lambda,
  s3api: s3,
  secretsmanager,
  sns,
  ssm,
};

/** Of services whose SDK isn't installed here, and of the CLI's own; looked up in `aws <service> <operation> help`. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  'cloudformation describe-stacks': ['stack-name'],
  'cloudwatch set-alarm-state': ['alarm-name', 'state-value', 'state-reason'],
  'ec2 create-tags': ['resources', 'tags'],
  'ec2 describe-subnets': ['subnet-ids'],
  'ec2 describe-vpc-endpoint-services': ['service-names'],
  'logs tail': ['since', 'follow'],
  's3 cp': [],
  's3 rm': ['recursive'],
  'sqs purge-queue': ['queue-url'],
  'sqs receive-message': ['queue-url', 'attribute-names', 'message-attribute-names', 'visibility-timeout'],
  'sts get-caller-identity': [],
};

/** Those that every command has. */
const EVERYWHERE: readonly string[] = ['query', 'output', 'max-items', 'cli-binary-format', 'region', 'profile'];

/** Every `aws …` in a shell's line, also where it is one of several. Behind an arrow it is the room of that name. */
export function awsCommandsIn(line: string): readonly AwsCommand[] {
  const whole = line.replace(/\\\n\s*/g, ' ').replace(/\n/g, ' \n');
  return [...whole.matchAll(/(?<![\w./-]|→ )aws ([a-z0-9]+) ([a-z0-9-]+)([^|;\n]*)/g)].map(
    ([, service = '', operation = '', rest = '']) => ({
      service,
      operation,
      options: [...unquoted(rest).matchAll(/(?<= )--([a-z][a-z-]*)/g)].map(([, option = '']) => option),
    }),
  );
}

/** @returns what is wrong with it; undefined where such a command exists and has these options */
export function problemOf({ service, operation, options }: AwsCommand): string | undefined {
  const name = `${service} ${operation}`;
  const known = OTHERS[name] ?? membersOf(service, operation);
  if (known === undefined) return `aws ${name}: there is no such command`;
  const wrong = options.filter(
    (option) =>
      !EVERYWHERE.includes(option) && !known.some((each) => [each, `no-${each}`].map(plain).includes(plain(option))),
  );
  return wrong.length === 0 ? undefined : `aws ${name}: it has no --${wrong.join(', --')}`;
}

/** The members of an operation's input: the CLI's options are named as they are. */
function membersOf(service: string, operation: string): readonly string[] | undefined {
  const name = operation.replace(/(^|-)([a-z0-9])/g, (_, _dash, letter: string) => letter.toUpperCase());
  // An operation is written as [9, namespace, name, traits, input, output], a structure as [3, namespace, name, traits,
  // members, …].
  const input = elementOf(SERVICES[service]?.[`${name}$`], 4);
  const members = elementOf(typeof input === 'function' ? input() : input, 4);
  return Array.isArray(members) ? members.map(String) : undefined;
}

function elementOf(list: unknown, index: number): unknown {
  return Array.isArray(list) ? list[index] : undefined;
}

function plain(name: string): string {
  return name.replaceAll('-', '').toLowerCase();
}

/** What stands in quotes is a value. */
function unquoted(text: string): string {
  return text.replace(/'[^']*'|"[^"]*"/g, "''");
}
