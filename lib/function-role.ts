// A function's role: nothing but its own log group, the network interfaces of its VPC, and what the function itself
// asks for.
import { Stack, Validations } from 'aws-cdk-lib';
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { functionArn } from './names.ts';

export interface FunctionRoleProps {
  readonly functionName: string;
  readonly logGroup: ILogGroup;
  /** Lambda makes network interfaces with this role. */
  readonly inVpc: boolean;
  /** What the function's code does, by a name for each group of statements. */
  readonly policies: Readonly<Record<string, readonly PolicyStatement[]>>;
}

/** Inline policies only: AWS's managed ones for Lambda grant logs and network interfaces on every resource. */
export class FunctionRole extends Role {
  constructor(scope: Construct, id: string, props: FunctionRoleProps) {
    const statements = {
      Logs: [
        new PolicyStatement({
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [props.logGroup.logGroupArn],
        }),
      ],
      ...(props.inVpc ? { Network: networkStatements(Stack.of(scope), props.functionName) } : {}),
      ...props.policies,
    };
    super(scope, id, {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `Execution role of ${props.functionName}`,
      inlinePolicies: Object.fromEntries(
        Object.entries(statements).map(([name, list]) => [name, new PolicyDocument({ statements: [...list] })]),
      ),
    });
    if (props.inVpc) {
      Validations.of(this).acknowledge({
        id: 'AwsSolutions-IAM5[Resource::*]',
        reason:
          'Lambda makes and removes the interfaces that connect the function to the VPC. ec2:Describe* knows no resources, ' +
          "and an interface's ARN is not known before it exists. The function's own code is denied all of it.",
      });
    }
  }
}

/** What a function needs to read its credentials; nothing where they are files, or where there are none. */
export function readSecret(
  credentials: NonNullable<ClusterConfiguration['etcd' | 'kubernetes']>['credentials'],
): Record<string, PolicyStatement[]> {
  if (!credentials || !('secretArn' in credentials)) return {};
  return {
    Credentials: [
      new PolicyStatement({
        actions: ['secretsmanager:GetSecretValue'],
        // Secrets Manager ends each ARN in six characters of its own. Many leave them out, and a name such as
        // "etcd-client" looks as if it had them, so both readings are granted.
        resources: [credentials.secretArn, `${credentials.secretArn}-??????`],
      }),
    ],
  };
}

/**
 * What Lambda needs to attach a function to a VPC. The second statement takes the same away from the function's code:
 * `lambda:SourceFunctionArn` is only there when the call comes from inside the function.
 */
function networkStatements(stack: Stack, functionName: string): PolicyStatement[] {
  const actions = [
    'ec2:AssignPrivateIpAddresses',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:UnassignPrivateIpAddresses',
  ];
  const ownCode = functionArn(stack, functionName);
  return [
    new PolicyStatement({ actions, resources: ['*'] }),
    new PolicyStatement({
      effect: Effect.DENY,
      actions,
      resources: ['*'],
      conditions: { ArnLike: { 'lambda:SourceFunctionArn': [ownCode, `${ownCode}:*`] } },
    }),
  ];
}
