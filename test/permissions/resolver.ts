// CloudFormation's functions in a template, worked out for one account and region. What it does not know, it throws at.
import type { Template } from 'aws-cdk-lib/assertions';
import * as z from 'zod/mini';

export const ACCOUNT = '111122223333';
export const REGION = 'eu-west-1';

/** What CloudFormation would make up. */
export interface Names {
  readonly table: string;
  readonly bucket: string;
}

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Region': REGION,
  'AWS::Partition': 'aws',
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': 'etcd-medic-demo',
};

const resourceSchema = z.object({ Type: z.string(), Properties: z._default(z.record(z.string(), z.unknown()), {}) });
type Resource = z.output<typeof resourceSchema>;

export class Resolver {
  readonly #resources: Readonly<Record<string, Resource>>;
  readonly #names: Names;

  constructor(template: Template, names: Names) {
    this.#resources = z.record(z.string(), resourceSchema).parse(template.toJSON().Resources);
    this.#names = names;
  }

  text(value: unknown): string {
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    const [[name, argument] = ['', undefined], ...more] = Object.entries(z.looseObject({}).parse(value));
    if (more.length === 0) {
      if (name === 'Ref' && typeof argument === 'string') return PSEUDO[argument] ?? this.#ref(argument);
      if (name === 'Fn::GetAtt' && Array.isArray(argument)) return this.#attribute(argument.map(String));
      if (name === 'Fn::Join' && Array.isArray(argument))
        return [argument[1]]
          .flat()
          .map((part) => this.text(part))
          .join(String(argument[0]));
    }
    throw new RangeError(`not known here: ${JSON.stringify(value)}`);
  }

  #ref(id: string): string {
    const { Type, Properties } = this.#resource(id);
    switch (Type) {
      case 'AWS::DynamoDB::Table':
        return this.#names.table;
      case 'AWS::S3::Bucket':
        return this.#names.bucket;
      case 'AWS::SSM::Parameter':
      case 'AWS::SSM::Document':
        return this.text(Properties.Name);
      case 'AWS::Lambda::Function':
        return this.text(Properties.FunctionName);
      case 'AWS::Lambda::Alias':
        return `${this.#function(Properties.FunctionName)}:${this.text(Properties.Name)}`;
      case 'AWS::SNS::Topic':
        return arn('sns', this.text(Properties.TopicName));
      case 'AWS::SecretsManager::Secret':
        return arn('secretsmanager', `secret:${withoutHash(id)}-Ab12Cd`);
      default:
        throw new RangeError(`Ref of ${id}, a ${Type}: not known here`);
    }
  }

  #attribute([id = '', attribute = '']: readonly string[]): string {
    const { Type } = this.#resource(id);
    switch (`${Type} ${attribute}`) {
      case 'AWS::DynamoDB::Table Arn':
        return arn('dynamodb', `table/${this.#names.table}`);
      case 'AWS::S3::Bucket Arn':
        return `arn:aws:s3:::${this.#names.bucket}`;
      case 'AWS::Lambda::Function Arn':
        return this.#function({ Ref: id });
      case 'AWS::SQS::Queue Arn':
        return arn('sqs', withoutHash(id));
      case 'AWS::Logs::LogGroup Arn':
        return arn('logs', `log-group:${withoutHash(id)}:*`);
      case 'AWS::KMS::Key Arn':
        return arn('kms', `key/${withoutHash(id)}`);
      default:
        throw new RangeError(`${attribute} of ${id}, a ${Type}: not known here`);
    }
  }

  #function(name: unknown): string {
    return arn('lambda', `function:${this.text(name)}`);
  }

  #resource(id: string): Resource {
    const found = this.#resources[id];
    if (found === undefined) throw new RangeError(`${id} is not in the template`);
    return found;
  }
}

/** A resource's id as its constructs are called. */
export function withoutHash(id: string): string {
  return id.replace(/[0-9A-F]{8}$/, '');
}

function arn(service: string, rest: string): string {
  return `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;
}
