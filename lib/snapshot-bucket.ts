// The bucket for snapshots of etcd. They hold everything that the cluster's API server holds, its Secrets among it.
import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

export interface SnapshotBucketProps {
  /**
   * @default one that CloudFormation makes, so that a stack deployed again does not fail on the bucket that its
   *   predecessor left
   */
  readonly bucketName?: string | undefined;
  /** Days until a snapshot is deleted. @default 30 */
  readonly retentionDays?: number | undefined;
  /** A key of the user's own. @default S3's */
  readonly encryptionKeyArn?: string | undefined;
}

const DEFAULT_RETENTION_DAYS = 30;
/** What was deleted or written over by mistake can be brought back for a week. */
const NONCURRENT_DAYS = 7;
/** An upload takes minutes; what is unfinished after a day is what a killed function has left. */
const UNFINISHED_DAYS = 1;

/**
 * Encrypted, for TLS only, closed to the public, versioned, and kept when its stack goes; not when its first deployment
 * fails.
 */
export class SnapshotBucket extends Bucket {
  constructor(scope: Construct, id: string, props: SnapshotBucketProps = {}) {
    const { bucketName, retentionDays = DEFAULT_RETENTION_DAYS, encryptionKeyArn } = props;
    super(scope, id, {
      ...(bucketName !== undefined && { bucketName }),
      ...(encryptionKeyArn === undefined
        ? { encryption: BucketEncryption.S3_MANAGED }
        : {
            encryption: BucketEncryption.KMS,
            encryptionKey: Key.fromKeyArn(scope, `${id}Key`, encryptionKeyArn),
            // One call to KMS for many parts of an upload.
            bucketKeyEnabled: true,
          }),
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      // Who may write may also write over: with versions, what was there before stays.
      versioned: true,
      lifecycleRules: [
        {
          id: 'expire-snapshots',
          expiration: Duration.days(retentionDays),
          noncurrentVersionExpiration: Duration.days(NONCURRENT_DAYS),
          abortIncompleteMultipartUploadAfter: Duration.days(UNFINISHED_DAYS),
        },
        // A rule with an expiration can't have it as well.
        { id: 'remove-delete-markers', expiredObjectDeleteMarker: true },
      ],
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    Validations.of(this).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Access logs would need a bucket of their own, which nobody reads. Every run tells in its report what it wrote; who read a ' +
        "snapshot is told by CloudTrail's data events, where they are switched on.",
    });
  }
}

/**
 * What a function's role needs to write a cluster's snapshots into a bucket. It can neither read nor delete one.
 * @param bucketArn of the stack's own, or of one that was there before
 */
export function grantSnapshotWrite(bucketArn: string, clusterName: string): PolicyStatement[] {
  return [
    new PolicyStatement({
      actions: ['s3:PutObject', 's3:AbortMultipartUpload'],
      resources: [`${bucketArn}/${clusterName}/*`],
    }),
    // To find what a killed function has left. The action knows no smaller resource than the bucket, and tells nothing
    // but keys.
    new PolicyStatement({ actions: ['s3:ListBucketMultipartUploads'], resources: [bucketArn] }),
  ];
}
