// A template as CloudFormation would deploy it: every function with its variables, its description and what its role
// may do.
import type { Template } from 'aws-cdk-lib/assertions';
import * as z from 'zod/mini';
import type { Condition, Statement } from './iam.ts';
import { ACCOUNT, type Names, REGION, Resolver, withoutHash } from './resolver.ts';

export interface DeployedFunction {
  /** `etcd-medic-demo-recover` */
  readonly name: string;
  readonly description: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly statements: readonly Statement[];
}

export interface Deployed {
  /** By what their names end in: `recover`. */
  readonly functions: ReadonlyMap<string, DeployedFunction>;
  /** What all other roles may do, by their ids without the CDK's hash. */
  readonly otherRoles: ReadonlyMap<string, readonly Statement[]>;
}

const oneOrMore = z.union([z.string(), z.array(z.unknown()), z.looseObject({})]);
const statementSchema = z.strictObject({
  Sid: z.optional(z.string()),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMore,
  Resource: oneOrMore,
  Condition: z.optional(z.record(z.string(), z.record(z.string(), oneOrMore))),
});
const documentSchema = z.object({ Statement: z.array(statementSchema) });
const roleSchema = z.object({
  // AWS's managed policies say more than what is in the template.
  ManagedPolicyArns: z.optional(z.array(z.never())),
  Policies: z._default(z.array(z.object({ PolicyDocument: documentSchema })), []),
});
const policySchema = z.object({
  PolicyDocument: documentSchema,
  Roles: z._default(z.array(z.object({ Ref: z.string() })), []),
});
const functionSchema = z.object({
  FunctionName: z.string(),
  Description: z.string(),
  Role: z.object({ 'Fn::GetAtt': z.tuple([z.string(), z.literal('Arn')]) }),
  Environment: z.object({ Variables: z.record(z.string(), z.unknown()) }),
});

/** @param names of what CloudFormation names itself */
export function readDeployed(template: Template, clusterName: string, names: Names): Deployed {
  const resolver = new Resolver(template, names);
  const resourcesOf = (type: string) => Object.entries(template.findResources(type));
  const policies = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy']
    .flatMap(resourcesOf)
    .map(([, { Properties }]) => policySchema.parse(Properties));
  const roles = new Map(
    resourcesOf('AWS::IAM::Role').map(([id, { Properties }]) => {
      const attached = policies.filter(({ Roles }) => Roles.some(({ Ref }) => Ref === id));
      const documents = [...roleSchema.parse(Properties).Policies, ...attached];
      return [
        id,
        documents.flatMap(({ PolicyDocument }) => PolicyDocument.Statement.map((each) => read(each, resolver))),
      ];
    }),
  );
  const functions = new Map<string, DeployedFunction>();
  for (const [, { Properties }] of resourcesOf('AWS::Lambda::Function')) {
    const { FunctionName: name, Description, Role, Environment } = functionSchema.parse(Properties);
    const [roleId] = Role['Fn::GetAtt'];
    const statements = roles.get(roleId);
    if (statements === undefined) throw new Error(`${name}: its role ${roleId} is not one of its own`);
    roles.delete(roleId);
    const environment = Object.fromEntries(
      Object.entries(Environment.Variables).map(([variable, value]) => [variable, resolver.text(value)]),
    );
    const description = resolver.text(Description);
    functions.set(name.replace(`etcd-medic-${clusterName}-`, ''), { name, description, environment, statements });
  }
  const otherRoles = new Map([...roles].map(([id, statements]) => [withoutHash(id), statements]));
  return { functions, otherRoles };
}

function read(
  { Effect, Action, Resource, Condition }: z.output<typeof statementSchema>,
  resolver: Resolver,
): Statement {
  const texts = (value: unknown) => [value].flat().map((each) => resolver.text(each));
  const conditions = Object.entries(Condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).map(
      ([key, values]): Condition => ({ operator, key: resolver.text(key), values: texts(values) }),
    ),
  );
  return { effect: Effect, actions: texts(Action), resources: texts(Resource), conditions };
}

/** The ARN that a call is about, of the name or ARN that its caller gave. */
export function arnOf(action: string, resource: string): string {
  const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;
  if (resource === '*' || resource.startsWith('arn:')) return resource;
  const [service = ''] = action.split(':');
  if (service === 'dynamodb') return arn(service, `table/${resource}`);
  if (service === 'events') return arn(service, `event-bus/${resource}`);
  if (service === 's3') return `arn:aws:s3:::${resource}`;
  if (action === 'ssm:SendCommand')
    return resource.startsWith('i-') ? arn('ec2', `instance/${resource}`) : arn(service, `document/${resource}`);
  if (service === 'ssm') return arn(service, `parameter/${resource.replace(/^\//, '')}`);
  throw new RangeError(`${action} on ${resource}: no ARN is known for it`);
}
