// The table that keeps a cluster's lease (one run at a time) and the history of its runs.
import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

export interface StateTableProps {
  /** A key of the user's own. @default AWS's key for the account's tables */
  readonly encryptionKeyArn?: string | undefined;
}

/**
 * Keys: `cluster` (S) and `record` (S: `lease`, or `run#…`); history items expire by `expiresAtEpochSeconds`.
 *
 * It outlives its stack: the history is what tells afterwards why a cluster was or was not brought back. Its name is
 * made by CloudFormation, so that a stack deployed again does not fail on the table that its predecessor left. Where
 * the very deployment that makes it fails, it goes: there is nothing in it yet.
 */
export class StateTable extends Table {
  constructor(scope: Construct, id: string, { encryptionKeyArn }: StateTableProps = {}) {
    super(scope, id, {
      partitionKey: { name: 'cluster', type: AttributeType.STRING },
      sortKey: { name: 'record', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: 'expiresAtEpochSeconds',
      ...(encryptionKeyArn === undefined
        ? { encryption: TableEncryption.AWS_MANAGED }
        : {
            encryption: TableEncryption.CUSTOMER_MANAGED,
            encryptionKey: Key.fromKeyArn(scope, `${id}Key`, encryptionKeyArn),
          }),
      // Also keeps a backup for 35 days of a table that somebody deletes. Deletion protection is not switched on
      // besides: a first deployment that fails could not be taken back then, since CloudFormation can't delete what is
      // protected.
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }
}
