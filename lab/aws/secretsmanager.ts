// Secrets Manager as far as a run needs it: hands out the secrets it was given, and keeps the versions of those that
// are rotated.
import * as z from 'zod/mini';
import { VersionedSecret } from './secret-versions.ts';
import { type ApiCall, errorResponse, type Response, type RunningServer, signerOf, startServer } from './server.ts';

export interface SecretsManagerStandIn extends RunningServer {
  /** ARN to text: secrets that stay as they are set here. */
  readonly secrets: Map<string, string>;
  /** Makes a secret with versions and without a value, as CloudFormation makes one that is given none. */
  create(arn: string): VersionedSecret;
  /** The next so many calls of an action are refused with this error. 0: none any more. */
  refuseNext(action: string, times: number, error?: string): void;
  /** The next so many calls of an action are done, and answered as if they had failed inside of the service. */
  loseNextAnswers(action: string, times: number): void;
}

const request = z.object({
  SecretId: z.string(),
  VersionId: z.optional(z.string()),
  VersionStage: z.optional(z.string()),
  ClientRequestToken: z.optional(z.string()),
  SecretString: z.optional(z.string()),
  VersionStages: z.optional(z.array(z.string())),
  MoveToVersionId: z.optional(z.string()),
  RemoveFromVersionId: z.optional(z.string()),
});
type Request = z.output<typeof request>;

export async function startSecretsManager(calls: ApiCall[]): Promise<SecretsManagerStandIn> {
  const secrets = new Map<string, string>();
  const versioned = new Map<string, VersionedSecret>();
  const lost: string[] = [];
  const refusals: { readonly action: string; readonly error: string }[] = [];
  const server = await startServer(async ({ headers, body }) => {
    const action = String(headers['x-amz-target']).replace(/^secretsmanager\./, '');
    if (!ACTIONS.has(action)) return errorResponse(400, 'UnknownOperationException', '');
    const given = request.parse(JSON.parse(body));
    calls.push({ action: `secretsmanager:${action}`, resource: given.SecretId, ...signerOf(headers) });
    const refused = refusals.findIndex((each) => each.action === action);
    if (refused >= 0) return errorResponse(400, refusals.splice(refused, 1)[0]?.error ?? '', 'refused by the test');
    const text = secrets.get(given.SecretId);
    if (text !== undefined && action === 'GetSecretValue') {
      return { status: 200, body: { ARN: given.SecretId, SecretString: text } };
    }
    const secret = versioned.get(given.SecretId);
    if (secret === undefined) return notFound('the specified secret');
    const answered = answer(action, secret, given);
    const cut = lost.indexOf(action);
    if (cut < 0) return answered;
    lost.splice(cut, 1);
    return errorResponse(500, 'InternalServiceError', 'lost by the test');
  });
  return {
    ...server,
    secrets,
    create: (arn) => {
      const secret = new VersionedSecret();
      versioned.set(arn, secret);
      return secret;
    },
    refuseNext: (action, times, error = 'AccessDeniedException') => {
      if (times === 0) refusals.splice(0, refusals.length, ...refusals.filter((each) => each.action !== action));
      for (let i = 0; i < times; i++) refusals.push({ action, error });
    },
    loseNextAnswers: (action, times) => {
      for (let i = 0; i < times; i++) lost.push(action);
    },
  };
}

const ACTIONS: ReadonlySet<string> = new Set([
  'DescribeSecret',
  'GetSecretValue',
  'PutSecretValue',
  'UpdateSecretVersionStage',
]);

function answer(action: string, secret: VersionedSecret, given: Request): Response {
  const { SecretId: ARN } = given;
  const done = (body: object) => ({ status: 200, body: { ARN, ...body } });
  if (action === 'DescribeSecret') {
    const labelled = secret.versions.map(({ id, labels }) => [id, labels]);
    return done({
      RotationEnabled: true,
      ...(labelled.length > 0 && { VersionIdsToStages: Object.fromEntries(labelled) }),
    });
  }
  if (action === 'GetSecretValue') {
    const { VersionId, VersionStage = VersionId === undefined ? 'AWSCURRENT' : undefined } = given;
    const version = secret.versions.find(
      ({ id, labels }) => id === (VersionId ?? id) && (VersionStage === undefined || labels.includes(VersionStage)),
    );
    if (version?.value === undefined) return notFound(`the specified secret value for ${VersionId ?? VersionStage}`);
    return done({ SecretString: version.value, VersionId: version.id, VersionStages: version.labels });
  }
  if (action === 'PutSecretValue') {
    const { ClientRequestToken = '', SecretString = '', VersionStages = ['AWSCURRENT'] } = given;
    const problem = secret.put(ClientRequestToken, SecretString, VersionStages);
    return problem === undefined ? done({ VersionId: ClientRequestToken }) : errorResponse(400, problem, problem);
  }
  const { VersionStage = '', MoveToVersionId, RemoveFromVersionId } = given;
  const problem = secret.moveLabel(VersionStage, MoveToVersionId, RemoveFromVersionId);
  return problem === undefined ? done({}) : errorResponse(400, problem, problem);
}

function notFound(what: string): Response {
  return errorResponse(400, 'ResourceNotFoundException', `Secrets Manager can't find ${what}.`);
}
