// Reads from a template what each function's role may do, in the words of a policy.
import type { Template } from 'aws-cdk-lib/assertions';

/** What every function may do with X-Ray: its actions know no resources. */
export const TRACING: readonly string[] = ['Allow xray:PutTelemetryRecords on *', 'Allow xray:PutTraceSegments on *'];

/** `Allow dynamodb:GetItem on StateTable.Arn if …`, one line an action and resource, sorted. */
export function permissionsOf(template: Template, functionName: string): string[] {
  const [fn] = Object.values(
    template.findResources('AWS::Lambda::Function', { Properties: { FunctionName: functionName } }),
  );
  const roleId: unknown = fn?.Properties?.Role?.['Fn::GetAtt']?.[0];
  if (typeof roleId !== 'string') throw new Error(`no function ${functionName} with a role of its own`);
  const role = template.findResources('AWS::IAM::Role')[roleId]?.Properties;
  if (role.ManagedPolicyArns !== undefined) throw new Error(`${roleId} has managed policies, which this does not read`);
  const attached = Object.values(template.findResources('AWS::IAM::Policy'))
    .map((policy) => policy.Properties)
    .filter((policy) => text(policy.Roles).includes(roleId));
  return [...(role.Policies ?? []), ...attached]
    .flatMap((policy) => policy.PolicyDocument.Statement)
    .flatMap(lines)
    .sort();
}

interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

function lines({ Effect, Action, Resource, Condition }: Statement): string[] {
  const condition = Condition === undefined ? '' : ` if ${text(Condition)}`;
  return [Action]
    .flat()
    .flatMap((action) => [Resource].flat().map((resource) => `${Effect} ${action} on ${text(resource)}${condition}`));
}

/** A value with CloudFormation's functions written as `${Name}`, without the hashes that the CDK adds to names. */
export function text(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return `[${value.map(text).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value);
  const [[key, inner] = ['', undefined]] = entries;
  if (key === 'Ref') return `\${${text(inner)}}`;
  if (key === 'Fn::GetAtt' && Array.isArray(inner)) return `\${${inner.join('.')}}`;
  if (key === 'Fn::Join' && Array.isArray(inner)) return [inner[1]].flat().map(text).join(text(inner[0]));
  return `{ ${entries.map(([name, part]) => `${name}: ${text(part)}`).join(', ')} }`;
}
