// What the runs in trouble have in common.
import { readFile } from 'node:fs/promises';
import type { AwsStandIn } from '../../../lab/aws/stand-in.ts';
import type { ControlPlane } from '../../../lab/control-plane/plane.ts';

/**
 * The engine's waits are so many times shorter, the two seconds of trouble and the SDK's own pauses are not: what is
 * tried for a minute is tried for six seconds here.
 */
export const SPEED = 10;

const SECRET = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:in-trouble';

/** @returns credentials as the configuration has them, for which Secrets Manager is asked */
export function putSecret(aws: AwsStandIn, secret: Readonly<Record<string, string>>): { readonly secretArn: string } {
  aws.secretsManager.secrets.set(SECRET, JSON.stringify(secret));
  return { secretArn: SECRET };
}

/** `etcd` of the configuration, with the plane's own credentials. */
export async function etcdOf(aws: AwsStandIn, { credentials }: ControlPlane) {
  if (credentials === undefined) throw new Error('the plane speaks plain http');
  const { caFile, certFile, keyFile } = credentials;
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map((file) => readFile(file, 'utf8')));
  return { credentials: putSecret(aws, { ca: ca ?? '', cert: cert ?? '', key: key ?? '' }) };
}
