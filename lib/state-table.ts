// The table that keeps a cluster's lease (one run at a time) and the history of its runs.
import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

/**
 * Keys: `cluster` (S) and `record` (S: `lease`, or `run#…`); history items expire by `expiresAtEpochSeconds`.
 *
 * It outlives its stack: the history is what tells afterwards why a cluster was or was not brought back. Its name is made
 * by CloudFormation, so that a stack deployed again does not fail on the table that its predecessor left.
 */
export class StateTable extends Table {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      partitionKey: { name: 'cluster', type: AttributeType.STRING },
      sortKey: { name: 'record', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: 'expiresAtEpochSeconds',
      encryption: TableEncryption.AWS_MANAGED,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
