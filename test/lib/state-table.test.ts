import { Match } from 'aws-cdk-lib/assertions';
import { describe, it } from 'vitest';
import { synth } from './synth.ts';

describe('StateTable', () => {
  it('has the keys and the expiry that the lease and the history are written with', () => {
    using synthesis = synth();

    synthesis.template().hasResourceProperties('AWS::DynamoDB::Table', {
      KeySchema: [
        { AttributeName: 'cluster', KeyType: 'HASH' },
        { AttributeName: 'record', KeyType: 'RANGE' },
      ],
      AttributeDefinitions: [
        { AttributeName: 'cluster', AttributeType: 'S' },
        { AttributeName: 'record', AttributeType: 'S' },
      ],
      TimeToLiveSpecification: { AttributeName: 'expiresAtEpochSeconds', Enabled: true },
      BillingMode: 'PAY_PER_REQUEST',
    });
  });

  it('is encrypted, can be restored, and outlives its stack, but not a first deployment that fails', () => {
    using synthesis = synth();

    synthesis.template().hasResource('AWS::DynamoDB::Table', {
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        // With it CloudFormation could not take back what it has made.
        DeletionProtectionEnabled: Match.absent(),
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        SSESpecification: { SSEEnabled: true },
      },
    });
  });
});
