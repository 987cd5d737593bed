// The function that draws the dashboard's custom widget. It reads, and may do nothing else.
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { functionName } from '../functions/contract/names.ts';
import { grantEncryptionKey } from './encryption-key.ts';
import { FunctionRole } from './function-role.ts';
import { MedicFunction } from './medic-function.ts';
import type { StateTable } from './state-table.ts';
import type { SwitchParameter } from './switch-parameter.ts';

export interface WidgetFunctionProps {
  readonly cluster: ClusterConfiguration;
  readonly table: Pick<StateTable, 'tableArn' | 'tableName'>;
  readonly switchParameter: Pick<SwitchParameter, 'parameterArn' | 'parameterName'>;
  /**
   * The ARN of dispatch, which the buttons call: the console does, with the permissions of the person who presses one.
   * This function is not given the right to.
   */
  readonly dispatchArn: string;
}

/**
 * Outside of the VPC: it talks to DynamoDB and Parameter Store alone, and must work while the cluster's network does
 * not.
 */
export class WidgetFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, { cluster, table, switchParameter, dispatchArn }: WidgetFunctionProps) {
    super(scope, id);
    const name = functionName(cluster.name, 'widget');
    const logGroup = new LogGroup(this, 'Logs', {
      // It says nothing but what could not be read.
      retention: RetentionDays.ONE_WEEK,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new FunctionRole(this, 'Role', {
      functionName: name,
      logGroup,
      inVpc: false,
      policies: {
        State: [
          new PolicyStatement({
            actions: ['dynamodb:GetItem', 'dynamodb:Query'],
            resources: [table.tableArn],
            conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [cluster.name] } },
          }),
        ],
        Switch: [new PolicyStatement({ actions: ['ssm:GetParameter'], resources: [switchParameter.parameterArn] })],
      },
    });
    grantEncryptionKey(role, cluster, ['dynamodb']);
    this.function = new MedicFunction(this, 'Function', {
      functionName: name,
      description: `Draws the dashboard of cluster ${cluster.name}. It changes nothing. Test with {} answers with its HTML.`,
      source: 'widget',
      // A person waits for it, and with the memory comes the processor.
      memorySize: 1024,
      timeout: Duration.seconds(15),
      role,
      logGroup,
      environment: {
        ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
        ETCD_MEDIC_TABLE: table.tableName,
        ETCD_MEDIC_SWITCH: switchParameter.parameterName,
        ETCD_MEDIC_DISPATCH: dispatchArn,
      },
    });
  }
}
