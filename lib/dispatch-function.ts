// The function that makes one command of any trigger and starts the workflow that it asks for.
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Alias, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { functionName } from '../functions/contract/names.ts';
import { FunctionRole } from './function-role.ts';
import { MedicFunction } from './medic-function.ts';

export interface DispatchFunctionProps {
  readonly cluster: ClusterConfiguration;
  /** The alias of each workflow that can be started. */
  readonly workflows: Readonly<Record<string, Alias>>;
  /** Gets the events that dispatch refused, after Lambda's two retries. */
  readonly deadLetterQueue: IQueue;
}

/** Outside of the VPC: it talks to Lambda alone, and must work while the cluster's network does not. */
export class DispatchFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, { cluster, workflows, deadLetterQueue }: DispatchFunctionProps) {
    super(scope, id);
    const name = functionName(cluster.name, 'dispatch');
    const aliasArns = Object.fromEntries(
      Object.entries(workflows).map(([workflow, alias]) => [workflow, alias.functionArn]),
    );
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new FunctionRole(this, 'Role', {
      functionName: name,
      logGroup,
      inVpc: false,
      policies: {
        Workflows: [new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: Object.values(aliasArns) })],
      },
    });
    this.function = new MedicFunction(this, 'Function', {
      functionName: name,
      description:
        `Starts etcd-medic on cluster ${cluster.name}. Test with {"workflow":"recover","dryRun":true} shows what a recovery ` +
        'would do and changes nothing; without dryRun it recovers.',
      source: 'dispatch',
      memorySize: 256,
      // A call to Lambda, repeated for 45 s while the workflow's function is asleep; the alarm that brought it is
      // retried and kept besides.
      timeout: Duration.seconds(60),
      role,
      logGroup,
      deadLetterQueue,
      environment: {
        ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
        ETCD_MEDIC_WORKFLOWS: Stack.of(this).toJsonString(aliasArns),
      },
    });
  }
}
