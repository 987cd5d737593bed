// A certificate at once, for a person who asks for it: all steps of a rotation one after the other.
import { randomUUID } from 'node:crypto';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import { LEAST_DAYS } from '../contract/purposes.ts';
import type { Issuance } from './environment.ts';
import { finishRotation, makeCredentials, type Rotation, testCredentials } from './rotate.ts';
import type { IssuedSecret } from './secret.ts';

/** A person may take a certificate that a rotation would not: of an authority that ends soon. */
const LEAST_DAYS_BY_HAND = 1;

/** For the person who asked. */
export interface IssueReport {
  readonly cluster: string;
  readonly issued: Issuance['purpose'];
  readonly secretArn: string;
  readonly subject: string;
  readonly serialNumber: string;
  /** ISO 8601, UTC. */
  readonly validFrom: string;
  readonly validTo: string;
  /** One sentence a step. */
  readonly steps: readonly string[];
  /** What somebody should do something about. */
  readonly warnings: readonly string[];
}

/**
 * The new credentials are current when this returns; what was current before is so still when it throws.
 * @param trust SHA-256 fingerprints of authorities to be trusted beside the current ones
 * @throws NotSignedError, CredentialsRefusedError, CredentialsUntestedError, SetupError, NodesUnreadableError,
 *   RotationError
 */
export async function issue(
  configuration: ClusterConfiguration,
  issuance: Issuance,
  secret: IssuedSecret,
  trust: readonly string[],
): Promise<IssueReport> {
  const rotation: Rotation = { configuration, issuance, secret, versionId: randomUUID() };
  const { currentId } = await secret.versions();
  const made = await makeCredentials(rotation, currentId, { leastDays: LEAST_DAYS_BY_HAND, trust });
  const { subject, serialNumber, validFromDate, validToDate } = made.certificate;
  const steps = [made.said];
  try {
    steps.push(await testCredentials(rotation));
    steps.push(await finishRotation(rotation));
  } catch (error) {
    await giveUp(rotation);
    throw error;
  }
  return {
    cluster: configuration.name,
    issued: issuance.purpose,
    secretArn: secret.arn,
    subject: subject.replaceAll('\n', ', '),
    serialNumber,
    validFrom: validFromDate.toISOString(),
    validTo: validToDate.toISOString(),
    steps,
    warnings: endsSoon(validToDate)
      ? [
          `the authority ends on ${validToDate.toISOString()}, and the certificate with it: renew the authority, then issue again`,
        ]
      : [],
  };
}

function endsSoon(validTo: Date): boolean {
  return validTo.getTime() < Date.now() + LEAST_DAYS * 24 * 60 * 60 * 1_000;
}

/** Nobody comes back for what a person's order left behind, and pending it would be in the next rotation's way. */
async function giveUp({ secret, versionId }: Rotation): Promise<void> {
  try {
    const { pendingId } = await secret.versions();
    if (pendingId === versionId) await secret.dropPending(versionId);
  } catch {
    // What went wrong first is what the person has to know. The next rotation tries these credentials again.
  }
}
