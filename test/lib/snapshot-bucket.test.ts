import { Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import { grantSnapshotWrite, SnapshotBucket, type SnapshotBucketProps } from '../../lib/snapshot-bucket.ts';
import { appOfTest } from './small-stack.ts';

function stackWithBucket(props?: SnapshotBucketProps) {
  const app = appOfTest();
  const stack = new Stack(app, 'Test');
  const bucket = new SnapshotBucket(stack, 'Snapshots', props);
  return { app, stack, bucket };
}

describe('R13: SnapshotBucket', () => {
  it('is encrypted, closed to the public, versioned, and outlives its stack, but not a first deployment that fails', () => {
    const { stack } = stackWithBucket();

    Template.fromStack(stack).hasResource('AWS::S3::Bucket', {
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        BucketName: Match.absent(),
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        VersioningConfiguration: { Status: 'Enabled' },
      },
    });
  });

  it('takes TLS 1.2 or newer only', () => {
    const { stack } = stackWithBucket();

    const denied = (condition: object) => Match.objectLike({ Effect: 'Deny', Action: 's3:*', Condition: condition });
    Template.fromStack(stack).hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          denied({ Bool: { 'aws:SecureTransport': 'false' } }),
          denied({ NumericLessThan: { 's3:TlsVersion': 1.2 } }),
        ]),
      },
    });
  });

  it.each<[string, SnapshotBucketProps | undefined, number]>([
    ['30 days, where nothing is said', undefined, 30],
    ['as long as it is told', { retentionDays: 90 }, 90],
  ])('keeps snapshots %s, and unfinished uploads a day', (_, props, days) => {
    const { stack } = stackWithBucket(props);

    Template.fromStack(stack).hasResourceProperties('AWS::S3::Bucket', {
      LifecycleConfiguration: {
        Rules: [
          {
            Id: 'expire-snapshots',
            Status: 'Enabled',
            ExpirationInDays: days,
            NoncurrentVersionExpiration: { NoncurrentDays: 7 },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
          },
          { Id: 'remove-delete-markers', Status: 'Enabled', ExpiredObjectDeleteMarker: true },
        ],
      },
    });
  });

  it('can be given a name', () => {
    const { stack } = stackWithBucket({ bucketName: 'prod-etcd-snapshots' });

    Template.fromStack(stack).hasResourceProperties('AWS::S3::Bucket', { BucketName: 'prod-etcd-snapshots' });
  });

  it('gives the writer of a cluster nothing but writing below its name and looking for what is unfinished', () => {
    const { stack, bucket } = stackWithBucket();

    const statements = grantSnapshotWrite(bucket.bucketArn, 'demo');

    const arn = stack.resolve(bucket.bucketArn);
    expect(statements.map((statement) => stack.resolve(statement.toStatementJson()))).toEqual([
      {
        Effect: 'Allow',
        Action: ['s3:PutObject', 's3:AbortMultipartUpload'],
        Resource: { 'Fn::Join': ['', [arn, '/demo/*']] },
      },
      { Effect: 'Allow', Action: 's3:ListBucketMultipartUploads', Resource: arn },
    ]);
  });

  it('leaves AWS Solutions nothing to find', () => {
    const { app } = stackWithBucket();

    const { violations } = new AwsSolutionsChecks().validateScope(app);

    expect(violations.map(({ ruleName }) => ruleName)).toEqual([]);
  });
});
