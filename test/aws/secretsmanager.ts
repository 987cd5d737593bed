// Secrets Manager as far as a run needs it: hands out the secrets it was given.
import { type ApiCall, errorResponse, type RunningServer, startServer } from './server.ts';

export interface SecretsManagerStandIn extends RunningServer {
  /** ARN to text. */
  readonly secrets: Map<string, string>;
}

export async function startSecretsManager(calls: ApiCall[]): Promise<SecretsManagerStandIn> {
  const secrets = new Map<string, string>();
  const server = await startServer(async ({ headers, body }) => {
    if (headers['x-amz-target'] !== 'secretsmanager.GetSecretValue') {
      return errorResponse(400, 'UnknownOperationException', '');
    }
    const { SecretId }: { SecretId: string } = JSON.parse(body);
    calls.push({ action: 'secretsmanager:GetSecretValue', resource: SecretId });
    const SecretString = secrets.get(SecretId);
    if (SecretString !== undefined) return { status: 200, body: { ARN: SecretId, SecretString } };
    return errorResponse(400, 'ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
  });
  return { ...server, secrets };
}
