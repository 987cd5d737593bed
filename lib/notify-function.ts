// The function that tells people how runs end, and puts in order what runs that died have left.
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { EVENT_SOURCE } from '../functions/contract/event-names.ts';
import { functionName } from '../functions/contract/names.ts';
import { grantEncryptionKey } from './encryption-key.ts';
import { FunctionRole } from './function-role.ts';
import { MedicFunction } from './medic-function.ts';
import { EVENT_BUS, switchParameterName } from './names.ts';
import type { StateTable } from './state-table.ts';

/** Less than CLAIM_MS of functions/notify/once.ts: what an invocation has claimed stays its own until it ends. */
const TIMEOUT = Duration.seconds(45);

export interface NotifyFunctionProps {
  readonly cluster: ClusterConfiguration;
  readonly table: StateTable;
  /** The stack's own; those of `notify.topicArns` are in the configuration. */
  readonly topic: ITopic;
  /** Gets the events that the function gave up on, after Lambda's two retries. */
  readonly deadLetterQueue: IQueue;
}

/** Outside of the VPC: what it has to tell matters most while the cluster's network is in trouble. */
export class NotifyFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, { cluster, table, topic, deadLetterQueue }: NotifyFunctionProps) {
    super(scope, id);
    const name = functionName(cluster.name, 'notify');
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const bus = Stack.of(this).formatArn({ service: 'events', resource: 'event-bus', resourceName: EVENT_BUS });
    const role = new FunctionRole(this, 'Role', {
      functionName: name,
      logGroup,
      inVpc: false,
      policies: {
        Topics: [
          new PolicyStatement({
            actions: ['sns:Publish'],
            resources: [topic.topicArn, ...(cluster.notify?.topicArns ?? [])],
          }),
        ],
        // The lease, what was told, and the history: items of one partition, which is as narrow as DynamoDB's policies
        // go.
        State: [
          new PolicyStatement({
            actions: [
              'dynamodb:DeleteItem',
              'dynamodb:GetItem',
              'dynamodb:PutItem',
              'dynamodb:Query',
              'dynamodb:UpdateItem',
            ],
            resources: [table.tableArn],
            conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [cluster.name] } },
          }),
        ],
        Events: [
          new PolicyStatement({
            actions: ['events:PutEvents'],
            resources: [bus],
            conditions: { StringEquals: { 'events:source': EVENT_SOURCE } },
          }),
        ],
      },
    });
    grantEncryptionKey(role, cluster, ['dynamodb']);
    this.function = new MedicFunction(this, 'Function', {
      functionName: name,
      description: `Tells people how the runs of etcd-medic on cluster ${cluster.name} end, and settles the lease of one that died. Test with the event "test-message" tells everybody that it is a test.`,
      source: 'notify',
      memorySize: 256,
      timeout: TIMEOUT,
      role,
      logGroup,
      deadLetterQueue,
      environment: {
        ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
        ETCD_MEDIC_TABLE: table.tableName,
        ETCD_MEDIC_BUS: EVENT_BUS,
        // Its name alone, for a command in a message: the function may not read it.
        ETCD_MEDIC_SWITCH: switchParameterName(cluster),
        ETCD_MEDIC_TOPIC: topic.topicArn,
      },
    });
  }
}
