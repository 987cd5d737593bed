// Lambda holds a function's environment to 4 KiB. What a stack's functions will have is measured at synth, from the
// very variables that they are made with, so that a configuration which is too long is refused before anything is
// deployed.
import { CfnResource, type Stack } from 'aws-cdk-lib';
import { CfnTable } from 'aws-cdk-lib/aws-dynamodb';
import { CfnVPCEndpoint } from 'aws-cdk-lib/aws-ec2';
import { CfnAlias, CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { CfnTopic } from 'aws-cdk-lib/aws-sns';
import { CfnParameter } from 'aws-cdk-lib/aws-ssm';
import { InvalidInputError } from '../functions/contract/errors.ts';
import type { FunctionVariables } from '../functions/contract/variables.ts';

/**
 * Of all variables as one JSON object, which is what Lambda measures ("exceeded the 4KB limit. String measured: {…}"):
 * names count, and each quotation mark of the configuration, which is JSON itself, counts twice.
 */
const MAX_ENVIRONMENT_BYTES = 4096;

/** What is known only when the stack is deployed, at its longest. */
const LONGEST: Readonly<Record<string, string>> = {
  'AWS::Region': 'ap-southeast-1',
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws-us-gov',
  'AWS::URLSuffix': 'amazonaws.com.cn',
};
/**
 * CloudFormation ends the names that it makes in up to 13 characters, those of secrets in 12; Secrets Manager adds 6 of
 * its own.
 */
const RANDOM = 'X'.repeat(13);
/** Of what an app of the user's own puts in, such as a VPC of its own: ids of EC2 have at most 26 characters. */
const UNKNOWN = 'X'.repeat(64);

/**
 * To be called when the stack has all its functions.
 * @param source the configuration, for the message
 * @throws InvalidInputError naming the function that is furthest over the limit, by how much, and the longest fields of
 *   its configuration
 */
export function checkEnvironments(stack: Stack, source: string): void {
  const longest = new LongestTexts(stack);
  const measured = stack.node
    .findAll()
    .filter((construct) => construct instanceof CfnFunction)
    .map((fn) => {
      const variables = longest.variablesOf(fn);
      return { name: fn.functionName ?? fn.node.path, variables, bytes: bytesOf(variables) };
    });
  const [worst] = measured.sort((a, b) => b.bytes - a.bytes);
  if (worst === undefined || worst.bytes <= MAX_ENVIRONMENT_BYTES) return;
  const fields = longestFields(worst.variables).map(([field, bytes]) => `${field} (${bytes} bytes)`);
  throw new InvalidInputError(source, [
    `(the whole document): found ${worst.bytes} bytes of environment for the function ${worst.name}, expected at most ` +
      `${MAX_ENVIRONMENT_BYTES}, which is Lambda's limit: ${worst.bytes - MAX_ENVIRONMENT_BYTES} bytes more than that. The longest ` +
      `fields, to be shortened: ${fields.join(', ')}`,
  ]);
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** `etcd.endpoints` and the like with what each takes of the environment, the longest three first. */
function longestFields({ ETCD_MEDIC_CLUSTER = '{}', ETCD_MEDIC_ISSUED }: FunctionVariables): [string, number][] {
  const cluster: Record<string, unknown> = JSON.parse(ETCD_MEDIC_CLUSTER);
  const fields = Object.entries(cluster).flatMap(([name, part]) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.entries(part).map(([inner, value]): [string, unknown] => [`${name}.${inner}`, value])
      : [[name, part] satisfies [string, unknown]],
  );
  // As a text in the variable's JSON: its quotation marks count twice.
  const measured = fields.map(([name, value]): [string, number] => [name, bytesOf(JSON.stringify(value)) - 2]);
  if (ETCD_MEDIC_ISSUED) measured.push(['nodes.authorities', bytesOf(ETCD_MEDIC_ISSUED) - 2]);
  return measured.sort(([, a], [, b]) => b - a).slice(0, 3);
}

type Variables = Readonly<Record<string, string>>;

/** Resolves what CloudFormation fills in to texts that are as long as it can become. */
class LongestTexts {
  readonly #stack: Stack;
  readonly #resources: ReadonlyMap<string, CfnResource>;

  constructor(stack: Stack) {
    this.#stack = stack;
    const resources = stack.node.findAll().filter((construct) => CfnResource.isCfnResource(construct));
    this.#resources = new Map(resources.map((resource) => [String(stack.resolve(resource.logicalId)), resource]));
  }

  variablesOf(fn: CfnFunction): Variables {
    const resolved: unknown = this.#stack.resolve(fn.environment);
    const variables: unknown = Object(resolved).variables ?? {};
    return Object.fromEntries(Object.entries(Object(variables)).map(([name, value]) => [name, this.text(value)]));
  }

  /** @param value a text, or one of CloudFormation's functions that make one */
  text(value: unknown): string {
    if (typeof value !== 'object' || value === null) return String(value);
    const [[name, argument] = ['', undefined]] = Object.entries(value);
    const list: readonly unknown[] = Array.isArray(argument) ? argument : [argument];
    switch (name) {
      case 'Ref':
        return LONGEST[String(argument)] ?? this.#reference(String(argument));
      case 'Fn::GetAtt':
        return this.#attribute(String(list[0]), String(list[1]));
      case 'Fn::Join':
        return (Array.isArray(list[1]) ? list[1] : [list[1]]).map((part) => this.text(part)).join(String(list[0]));
      case 'Fn::Select':
      case 'Fn::Split':
        // A part is no longer than the whole.
        return this.text(list[1]);
      default:
        return UNKNOWN;
    }
  }

  #reference(id: string): string {
    const resource = this.#resources.get(id);
    if (resource instanceof CfnTable) return this.#name(id, resource.tableName, 255);
    if (resource instanceof CfnBucket) return this.#name(id, resource.bucketName, 63);
    if (resource instanceof CfnFunction) return this.#name(id, resource.functionName, 64);
    if (resource instanceof CfnParameter) return this.#name(id, resource.name, 1011);
    if (resource instanceof CfnTopic) return this.#arn('sns', this.#name(id, resource.topicName, 256));
    if (resource instanceof CfnAlias) return `${this.#functionArn(resource.functionName)}:${resource.name}`;
    // Not the stack's name, but the resource's is what CloudFormation begins the name of a secret with.
    if (resource instanceof CfnSecret) return this.#arn('secretsmanager', `secret:${id}-${RANDOM}-XXXXXX`);
    return UNKNOWN;
  }

  #attribute(id: string, attribute: string): string {
    const resource = this.#resources.get(id);
    if (resource instanceof CfnFunction && attribute === 'Arn') return this.#functionArn({ Ref: id });
    if (resource instanceof CfnVPCEndpoint && attribute === 'DnsEntries') return this.#dnsName(resource);
    return UNKNOWN;
  }

  #functionArn(name: unknown): string {
    return this.#arn('lambda', `function:${this.text(this.#stack.resolve(name))}`);
  }

  /** Without the hosted zone that stands before it, of which no function is told. */
  #dnsName({ serviceName = UNKNOWN }: CfnVPCEndpoint): string {
    const service = this.text(this.#stack.resolve(serviceName)).split('.').at(-1);
    const id = `vpce-${'X'.repeat(17)}-${'X'.repeat(8)}`;
    return `${id}.${service}.${this.#here('region')}.vpce.${this.#here('urlSuffix')}`;
  }

  #arn(service: string, rest: string): string {
    return `arn:${this.#here('partition')}:${service}:${this.#here('region')}:${this.#here('account')}:${rest}`;
  }

  /** Known where the stack was given its environment. */
  #here(what: 'region' | 'account' | 'partition' | 'urlSuffix'): string {
    return this.text(this.#stack.resolve(this.#stack[what]));
  }

  /** Its own, or the one that CloudFormation makes. */
  #name(id: string, own: string | undefined, maxCharacters: number): string {
    // The CDK gives one that may turn out to be none.
    const resolved: unknown = this.#stack.resolve(own);
    if (resolved !== undefined) return this.text(resolved);
    return `${this.text(this.#stack.resolve(this.#stack.stackName))}-${id}-${RANDOM}`.slice(0, maxCharacters);
  }
}
