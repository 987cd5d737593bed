// A key of the user's own (`encryptionKeyArn`), by which the table and the bucket are encrypted: who may use it, and
// through what.
import { Aws, Stack } from 'aws-cdk-lib';
import { Policy, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';

/** What a function reads or writes that may be encrypted by the key. */
export type EncryptedService = 'dynamodb' | 's3' | 'secretsmanager';

/**
 * DynamoDB: what AWS's documentation asks of who reads and writes a table, and the CDK grants. S3: a multipart upload
 * reads its own parts' key. Secrets Manager: a secret that is only read.
 */
const ACTIONS: Readonly<Record<EncryptedService, readonly string[]>> = {
  dynamodb: [
    'kms:Decrypt',
    'kms:DescribeKey',
    'kms:Encrypt',
    'kms:GenerateDataKey',
    'kms:ReEncryptFrom',
    'kms:ReEncryptTo',
  ],
  s3: ['kms:Decrypt', 'kms:GenerateDataKey'],
  secretsmanager: ['kms:Decrypt'],
};

/** Grants the key's use through these services and in no other way. Nothing where there is no key. */
export function grantEncryptionKey(
  role: Role,
  { encryptionKeyArn }: Pick<ClusterConfiguration, 'encryptionKeyArn'>,
  services: readonly EncryptedService[],
): void {
  if (encryptionKeyArn === undefined) return;
  const { region } = Stack.of(role);
  new Policy(role, 'EncryptionKey', {
    roles: [role],
    statements: services.map(
      (service) =>
        new PolicyStatement({
          actions: [...ACTIONS[service]],
          resources: [encryptionKeyArn],
          conditions: { StringEquals: { 'kms:ViaService': `${service}.${region}.${Aws.URL_SUFFIX}` } },
        }),
    ),
  });
}

/** Those that a function with these credentials and this much else uses. */
export function servicesUsed(
  credentials: NonNullable<ClusterConfiguration['etcd' | 'kubernetes']>['credentials'],
  others: readonly EncryptedService[],
): readonly EncryptedService[] {
  return credentials && 'secretArn' in credentials ? [...others, 'secretsmanager'] : others;
}
