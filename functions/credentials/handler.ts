// The credentials function: issues etcd-medic's client certificates, by hand and as the rotation function of their
// secrets.
import { createLogger } from '../aws/logger.ts';
import { describeError, InvalidInputError } from '../contract/errors.ts';
import { given } from '../contract/variables.ts';
import { type CredentialsEnvironment, type Issuance, readEnvironment } from './environment.ts';
import { type IssueOrder, parseEvent, type RotationStep } from './event.ts';
import { type IssueReport, issue } from './issue.ts';
import { createCredentials, finishRotation, type Rotation, testCredentials } from './rotate.ts';
import { IssuedSecret } from './secret.ts';

const logger = createLogger(given(process.env, 'POWERTOOLS_SERVICE_NAME') ?? 'etcd-medic-credentials');

/**
 * @param event `{ "issue": "etcd" | "kubernetes" }`, or a step of Secrets Manager's rotation
 * @returns for a person, what was issued; Secrets Manager does not look at it
 * @throws whatever went wrong, so that the function's own Errors metric and Secrets Manager tell of it; what was
 *   current is so then
 */
export async function handler(event: unknown): Promise<IssueReport | { readonly done: string }> {
  const order = parseEvent(event);
  const environment = readEnvironment(process.env);
  const issuance = issuanceOf(order, environment);
  const what = 'Step' in order ? order.Step : 'issue';
  const line = { cluster: environment.configuration.name, purpose: issuance.purpose, what };
  using secret = new IssuedSecret(issuance.secretArn);
  try {
    const result =
      'Step' in order
        ? { done: await rotate(order.Step, rotationOf(order, issuance, secret, environment)) }
        : await issue(environment.configuration, issuance, secret, order.trust);
    logger.info('credentials', { ...line, ...result });
    return result;
  } catch (error) {
    logger.error('credentials: no new ones, what was current stays so', { ...line, reason: describeError(error) });
    throw error;
  }
}

function issuanceOf(order: RotationStep | IssueOrder, { issuances }: CredentialsEnvironment): Issuance {
  const found = issuances.find(({ purpose, secretArn }) =>
    'Step' in order ? secretArn === order.SecretId : purpose === order.issue,
  );
  if (found !== undefined) return found;
  const [field, value] = 'Step' in order ? ['SecretId', order.SecretId] : ['issue', order.issue];
  const expected = issuances.map(({ purpose, secretArn }) => ('Step' in order ? secretArn : purpose)).join(' or ');
  throw new InvalidInputError('event', [
    `${field}: found ${JSON.stringify(value)}, expected ${expected || 'nothing'}: no other credentials are issued here`,
  ]);
}

function rotationOf(
  { ClientRequestToken }: RotationStep,
  issuance: Issuance,
  secret: IssuedSecret,
  { configuration }: CredentialsEnvironment,
): Rotation {
  return { configuration, issuance, secret, versionId: ClientRequestToken };
}

function rotate(step: RotationStep['Step'], rotation: Rotation): Promise<string> {
  switch (step) {
    case 'createSecret':
      return createCredentials(rotation);
    case 'setSecret':
      // etcd and the API server take every certificate of their authority: there is nothing to tell them.
      return Promise.resolve('nothing to set: the certificate itself is what is trusted');
    case 'testSecret':
      return testCredentials(rotation);
    case 'finishSecret':
      return finishRotation(rotation);
  }
}
