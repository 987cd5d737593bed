// A secret with its versions: the current credentials, and the pending ones on their way to become it.
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  type SecretsManagerClientConfig,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { clientDefaults, isSetupProblem } from '../aws/client.ts';
import { NOT_ISSUED_YET } from '../aws/credentials.ts';
import { SetupError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { RotationError } from './errors.ts';

const CURRENT = 'AWSCURRENT';
const PENDING = 'AWSPENDING';

/** 32 to 64 characters. */
const PLACEHOLDER_ID = 'etcd-medic-no-certificate-issued-yet';

/** Which version has which label. */
export interface Versions {
  /** Undefined: the secret has no value yet. */
  readonly currentId: string | undefined;
  readonly pendingId: string | undefined;
}

/** Every call can be repeated. No error holds a word of what was read or written (R15). */
export class IssuedSecret implements Disposable {
  readonly arn: string;
  readonly #client: SecretsManagerClient;

  constructor(arn: string, settings: SecretsManagerClientConfig = clientDefaults) {
    this.arn = arn;
    this.#client = new SecretsManagerClient(settings);
  }

  /** @throws SetupError, RotationError */
  async versions(): Promise<Versions> {
    const { VersionIdsToStages = {} } = await this.#done('be looked at', () =>
      this.#client.send(new DescribeSecretCommand({ SecretId: this.arn })),
    );
    const withLabel = (label: string) =>
      Object.entries(VersionIdsToStages).find(([, labels]) => labels.includes(label))?.[0];
    return { currentId: withLabel(CURRENT), pendingId: withLabel(PENDING) };
  }

  /**
   * @returns undefined where the version has no value, or one that are no credentials: what somebody put there by hand
   * @throws SetupError, RotationError
   */
  async read(versionId: string): Promise<TlsMaterial | undefined> {
    const text = await this.#done('be read', async () => {
      try {
        const request = new GetSecretValueCommand({ SecretId: this.arn, VersionId: versionId });
        return (await this.#client.send(request)).SecretString ?? '';
      } catch (error) {
        // A rotation begins with a version that has a label and no value.
        if (error instanceof Error && error.name === 'ResourceNotFoundException') return '';
        throw error;
      }
    });
    return parseCredentials(text);
  }

  /**
   * Secrets Manager makes the very first value of a secret current, whatever label it is given: before credentials that
   * nobody has tried yet comes a text that nobody can use. It is always the same version, which is written once, so
   * that it takes the place of nothing that another call has made current in the meantime.
   * @throws SetupError, RotationError
   */
  async putPlaceholder(): Promise<void> {
    await this.#done('be prepared', () =>
      this.#client.send(
        new PutSecretValueCommand({
          SecretId: this.arn,
          ClientRequestToken: PLACEHOLDER_ID,
          SecretString: JSON.stringify(NOT_ISSUED_YET),
          VersionStages: [CURRENT],
        }),
      ),
    );
  }

  /**
   * Makes them the version `versionId` of the secret, which is pending from then on.
   * @throws SetupError, RotationError; also where that version has another value already
   */
  async putPending(versionId: string, { ca, cert, key }: TlsMaterial): Promise<void> {
    await this.#done('be given new credentials', () =>
      this.#client.send(
        new PutSecretValueCommand({
          SecretId: this.arn,
          ClientRequestToken: versionId,
          SecretString: JSON.stringify({ ca, cert, key }),
          // Without this, or as the first value of all, the version would be current at once.
          VersionStages: [PENDING],
        }),
      ),
    );
  }

  /**
   * Whoever reads the secret from now on gets this version; the one before is kept as AWSPREVIOUS.
   * @throws SetupError, RotationError
   */
  async makeCurrent(versionId: string, insteadOf: string | undefined): Promise<void> {
    await this.#done('be switched to the new credentials', () =>
      this.#client.send(
        new UpdateSecretVersionStageCommand({
          SecretId: this.arn,
          VersionStage: CURRENT,
          MoveToVersionId: versionId,
          ...(insteadOf !== undefined && { RemoveFromVersionId: insteadOf }),
        }),
      ),
    );
  }

  /**
   * Throws a pending version away: a version without a label is deleted, and the next rotation begins anew.
   * @throws SetupError, RotationError
   */
  async dropPending(versionId: string): Promise<void> {
    await this.#done('be freed of the refused credentials', () =>
      this.#client.send(
        new UpdateSecretVersionStageCommand({
          SecretId: this.arn,
          VersionStage: PENDING,
          RemoveFromVersionId: versionId,
        }),
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#client.destroy();
  }

  /** Without the cause: the service's words may quote what it was sent. */
  async #done<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      const name = error instanceof Error ? error.name : 'unknown error';
      const message = `secret ${this.arn} can't ${what}: ${name}`;
      throw isSetupProblem(error) ? new SetupError(message) : new RotationError(message);
    }
  }
}

function parseCredentials(text: string): TlsMaterial | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own error quotes the text.
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((field) => Reflect.get(value, field));
  return typeof ca === 'string' && typeof cert === 'string' && typeof key === 'string' ? { ca, cert, key } : undefined;
}
