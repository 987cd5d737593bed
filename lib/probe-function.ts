// The function that looks at etcd every minute: plain, small, and started by nothing but the clock and a person.
import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as FunctionTarget } from 'aws-cdk-lib/aws-events-targets';
import { Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { functionName } from '../functions/contract/names.ts';
import type { ClusterNetwork } from './cluster-network.ts';
import { grantEncryptionKey, servicesUsed } from './encryption-key.ts';
import { FunctionRole, readSecret } from './function-role.ts';
import { MedicFunction } from './medic-function.ts';
import type { StateTable } from './state-table.ts';

/** A probe ends within 10 seconds by itself; the rest is for a cold start's slow first steps. */
const TIMEOUT = Duration.seconds(15);

/** What is later than this says nothing that the next probe does not say better. */
const WORTHLESS_AFTER = Duration.seconds(60);

export interface ProbeFunctionProps {
  readonly cluster: ClusterConfiguration;
  /** The last look is written there. */
  readonly table: Pick<StateTable, 'tableArn' | 'tableName'>;
  /** @default it runs outside of any VPC */
  readonly network?: ClusterNetwork | undefined;
}

export class ProbeFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, { cluster, table, network: clusterNetwork }: ProbeFunctionProps) {
    super(scope, id);
    const name = functionName(cluster.name, 'probe');
    const logGroup = new LogGroup(this, 'Logs', {
      // The metrics outlive their lines, and the table has the last look.
      retention: RetentionDays.ONE_WEEK,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const network = clusterNetwork?.functionNetwork('etcd');
    const role = new FunctionRole(this, 'Role', {
      functionName: name,
      logGroup,
      inVpc: network !== undefined,
      policies: {
        Look: [
          new PolicyStatement({
            actions: ['dynamodb:PutItem', 'dynamodb:Query'],
            resources: [table.tableArn],
            conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [cluster.name] } },
          }),
        ],
        ...readSecret(cluster.etcd.credentials),
      },
    });
    if (cluster.nodes && cluster.etcd.endpoints === undefined) grantListingOfNodes(this, role);
    grantEncryptionKey(role, cluster, servicesUsed(cluster.etcd.credentials, ['dynamodb']));

    this.function = new MedicFunction(this, 'Function', {
      functionName: name,
      description: `Looks at etcd of cluster ${cluster.name} every minute and changes nothing in it. Test with {} shows how it is.`,
      source: 'probe',
      memorySize: 512,
      timeout: TIMEOUT,
      retryAttempts: 0,
      maxEventAge: WORTHLESS_AFTER,
      role,
      logGroup,
      ...network?.props,
      environment: {
        ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
        ETCD_MEDIC_TABLE: table.tableName,
        ...network?.environment,
      },
    });
    new Rule(this, 'EveryMinute', {
      description: `Looks at etcd of cluster ${cluster.name}`,
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new FunctionTarget(this.function, { retryAttempts: 0, maxEventAge: WORTHLESS_AFTER })],
    });
  }
}

function grantListingOfNodes(scope: Construct, role: FunctionRole): void {
  // A policy of its own, so that the reason below stands for its statement alone.
  const policy = new Policy(scope, 'Nodes', {
    statements: [new PolicyStatement({ actions: ['ssm:DescribeInstanceInformation'], resources: ['*'] })],
    roles: [role],
  });
  Validations.of(policy).acknowledge({
    id: 'AwsSolutions-IAM5[Resource::*]',
    reason: 'ssm:DescribeInstanceInformation knows no resources. It tells which nodes there are and changes nothing.',
  });
}
