// The whole stack on this machine: every function's own handler, with the variables of its template and its own access
// key, on real etcd with simulated nodes, a stand-in of the API server, and the stand-ins of AWS, which note who called
// what.
import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeleteItemCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { vi } from 'vitest';
import * as z from 'zod/mini';
import type { Command } from '../../functions/contract/command.ts';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { signingDocumentName } from '../../functions/contract/purposes.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { WORKFLOW_NAMES, type WorkflowName } from '../../functions/contract/workflows.ts';
import { startWorkflow } from '../../functions/dispatch/start.ts';
import type { SessionOptions } from '../../functions/prune/session.ts';
import type { VersionedSecret } from '../../lab/aws/secret-versions.ts';
import type { ApiCall } from '../../lab/aws/server.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { manageNodes } from '../../lab/control-plane/managed-nodes.ts';
import { NODE_TAG } from '../../lab/control-plane/node.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import type { OperationChange } from '../../lab/execution/local-operations.ts';
import { workflowHandler } from '../../lab/execution/workflow-handler.ts';
import type { Rule } from '../../lab/kubernetes/api-server.ts';
import { createOwners } from '../../lab/kubernetes/sample-cluster.ts';
import { type StandInApiServer, startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { signClientCertificateDocument } from '../../lib/documents/sign-client-certificate.ts';
import type { Deployed, DeployedFunction } from './deployed.ts';
import { CLUSTER, deploy, EVERYTHING, OTHER_TOPIC, signingNodes } from './stack.ts';

const MiB = 1024 * 1024;
/** Kubelets, Systems Manager and the durable engine run so many times faster; etcd itself can't. */
const SPEED = 25;

/** Of the user that the certificate is for; docs/rbac.yaml's own are tested elsewhere. */
const PRUNES: readonly Rule[] = [{ verbs: ['get', 'list', 'delete'], apiGroups: ['*'], resources: ['*'] }];

type Plain = 'credentials' | 'dispatch' | 'probe' | 'notify' | 'widget';

export interface Stage extends AsyncDisposable {
  readonly aws: AwsStandIn;
  readonly api: StandInApiServer;
  /** One member, on a node. */
  readonly plane: ControlPlane;
  readonly deployed: Deployed;
  /**
   * Of what is issued: empty until `rotate`. A text that is set in the stand-in's `secrets` goes before what was
   * issued.
   */
  readonly secretArns: Readonly<Record<'etcd' | 'kubernetes', string>>;
  /** The versions of those secrets. */
  readonly secrets: Readonly<Record<'etcd' | 'kubernetes', VersionedSecret>>;
  /** Hands an event to a function that is no workflow. */
  call(name: Plain, event: unknown): Promise<unknown>;
  /** The probe forgets what it knew, as a new instance does. */
  coldStart(): Promise<void>;
  /** Runs a workflow to its end, as if dispatch had started it. */
  run(workflow: WorkflowName, command?: Partial<Command>): Promise<RunReport>;
  /** Waits for everything that was started. */
  settled(): Promise<void>;
  /** From here on this process calls AWS as the tests do, and as no function. */
  asTest(): void;
  /** Does the work while another run holds the lease. */
  whileLeased(work: () => Promise<void>): Promise<void>;
  /** Rotates what the credentials function issues, step by step, as Secrets Manager does. */
  rotate(): Promise<void>;
  /** What a function has called so far. */
  callsOf(name: string): readonly ApiCall[];
}

export interface StageOptions {
  /** How patient pruning is with an API server that is away. @default as in Lambda */
  readonly pruneSession?: SessionOptions;
  /** Told of every change in every execution's record. */
  readonly onOperation?: (change: OperationChange) => void;
}

/**
 * One at a time in a process, and in a test file: the SDK's client for durable executions remembers the first one's
 * address.
 */
export async function startStage(options: StageOptions = {}): Promise<Stage> {
  await using started = new AsyncDisposableStack();
  const before = { ...process.env };
  started.defer(() => restore(before));
  const aws = started.use(await startAws({ secondMs: 1000 / SPEED }));
  aws.enter();
  const plane = started.use(
    await startControlPlane({ members: 1, quotaBytes: 16 * MiB, nodes: true, kubeletSpeed: SPEED }),
  );
  manageNodes(aws, plane, CLUSTER);
  const api = started.use(
    await startStandIn({ clientCaFile: plane.credentials?.caFile ?? '', others: { 'etcd-medic': PRUNES } }),
  );
  await createOwners(api);
  await makeSigner(aws, plane, api);
  const deployed = deployFor(plane, api, aws);
  const secretArns = secretArnsOf(functionOf(deployed, 'recover'));
  const secrets = {
    etcd: aws.secretsManager.create(secretArns.etcd),
    kubernetes: aws.secretsManager.create(secretArns.kubernetes),
  };
  aws.ssm.parameters.set(`/etcd-medic/${CLUSTER}/mode`, 'auto');
  aws.sns.topics.add(OTHER_TOPIC);

  const aliases = await registerWorkflows(aws, deployed, options);
  // Loaded now: what they set up at that time is to come from this process's own variables.
  const plain = {
    credentials: (await import('../../functions/credentials/handler.ts')).handler,
    dispatch: (await import('../../functions/dispatch/handler.ts')).handler,
    probe: (await import('../../functions/probe/handler.ts')).handler,
    notify: (await import('../../functions/notify/handler.ts')).handler,
    widget: (await import('../../functions/widget/handler.ts')).handler,
  };
  const asTest = () => {
    leave(deployed);
    aws.enter();
  };
  // It stays that function: what dispatch has started goes on, and has another's variables by then.
  const call: Stage['call'] = async (name, event) => {
    enter(functionOf(deployed, name), deployed);
    return plain[name](event, {
      awsRequestId: crypto.randomUUID(),
      functionName: name,
      getRemainingTimeInMillis: () => 60_000,
    } as Context);
  };
  const running = started.move();
  return {
    ...{ aws, api, plane, deployed, secretArns, secrets, asTest },
    call,
    coldStart: async () => {
      vi.resetModules();
      plain.probe = (await import('../../functions/probe/handler.ts')).handler;
    },
    async run(workflow, changes = {}) {
      const trigger = { kind: 'manual', source: 'test' } as const;
      const command: Command = { cluster: CLUSTER, workflow, trigger, dryRun: false, ...changes };
      const before = aws.lambda.executions.length;
      asTest();
      await startWorkflow({ functionArn: aliases.get(workflow) ?? '', name: crypto.randomUUID(), command });
      const { status, result, error } = (await aws.lambda.executions[before]?.result) ?? {};
      if (status !== 'SUCCEEDED') throw new Error(`${workflow} failed: ${error?.message}`);
      return result as RunReport;
    },
    async whileLeased(work) {
      asTest();
      const client = new DynamoDBClient({});
      const lease = { cluster: { S: CLUSTER }, record: { S: 'lease' } };
      const held = { owner: { S: 'arn:another' }, expiresAt: { N: String(Date.now() + 60_000) } };
      try {
        await client.send(new PutItemCommand({ TableName: aws.table, Item: { ...lease, ...held } }));
        await work();
        asTest();
        await client.send(new DeleteItemCommand({ TableName: aws.table, Key: lease }));
      } finally {
        client.destroy();
      }
    },
    async rotate() {
      for (const purpose of ['etcd', 'kubernetes'] as const) {
        const [SecretId, ClientRequestToken] = [secretArns[purpose], crypto.randomUUID()];
        secrets[purpose].announce(ClientRequestToken);
        for (const Step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
          await call('credentials', { Step, SecretId, ClientRequestToken });
        }
      }
    },
    settled: async () => {
      await Promise.all(aws.lambda.executions.map(({ result }) => result));
    },
    callsOf: (name) => {
      const functionName = functionOf(deployed, name).name;
      return aws.calls.filter(({ action, resource, signedBy }) =>
        // The SDK's client for them keeps its first credentials; an execution's ARN has its function.
        /^lambda:.*DurableExecution/.test(action) ? resource.split(':')[6] === functionName : signedBy === functionName,
      );
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/**
 * The plane's node signs certificates: with etcd's authority, which stands for that of the API server's clients as
 * well.
 */
async function makeSigner(aws: AwsStandIn, plane: ControlPlane, api: StandInApiServer): Promise<void> {
  aws.ssm.documents.set(signingDocumentName(CLUSTER), signClientCertificateDocument());
  const pki = join(plane.nodes[0]?.root ?? '', 'etc/kubernetes/pki');
  const authority = dirname(plane.credentials?.caFile ?? '');
  for (const [from, to] of [
    [join(authority, 'ca.key'), 'etcd/ca.key'],
    [join(authority, 'ca.crt'), 'ca.crt'],
    [join(authority, 'ca.key'), 'ca.key'],
    [api.caFile, 'server-ca.crt'],
  ] as const) {
    await copyFile(from, join(pki, to));
  }
}

/** The template of exactly this cluster, with the names that the stand-ins have. */
function deployFor(plane: ControlPlane, api: StandInApiServer, aws: AwsStandIn): Deployed {
  const cluster = plane.configuration({
    ...EVERYTHING,
    name: CLUSTER,
    etcd: { endpoints: undefined, credentials: { issued: true } },
    kubernetes: { server: api.server, credentials: { issued: true } },
    nodes: signingNodes(NODE_TAG),
    maintain: { prune: true, revisionAgeSeconds: 1, minReclaimBytes: MiB },
    prune: { maxStaleShare: 1 },
  });
  return deploy(cluster, { table: aws.table, bucket: aws.s3.bucket });
}

async function registerWorkflows(
  aws: AwsStandIn,
  deployed: Deployed,
  { pruneSession, onOperation }: StageOptions,
): Promise<ReadonlyMap<WorkflowName, string>> {
  const { pruneHandler } = await import('../../functions/prune/handler.ts');
  const register = async (workflow: WorkflowName): Promise<[WorkflowName, string]> => {
    const fn = functionOf(deployed, workflow);
    const handler = workflow === 'prune' ? pruneHandler(pruneSession) : await workflowHandler(workflow);
    const alias = aws.lambda.register(fn.name, {
      durable: (event, context) => {
        // A run that waits for another does nothing meanwhile, so that one set of variables is enough.
        enter(fn, deployed);
        return handler(event, context);
      },
      options: { speed: SPEED, remainingTimeMs: () => 900_000, ...(onOperation && { onOperation }) },
      overTheWire: true,
    });
    return [workflow, alias];
  };
  return new Map(await Promise.all(WORKFLOW_NAMES.map(register)));
}

/** Of a function that is told all of them. */
function secretArnsOf({ environment }: DeployedFunction): Stage['secretArns'] {
  const { etcd, kubernetes } = parseCluster(JSON.parse(environment.ETCD_MEDIC_CLUSTER ?? ''));
  const arnIn = (credentials: object | undefined) => z.object({ secretArn: z.string() }).parse(credentials).secretArn;
  return { etcd: arnIn(etcd.credentials), kubernetes: arnIn(kubernetes?.credentials) };
}

function functionOf({ functions }: Deployed, name: string): DeployedFunction {
  const found = functions.get(name);
  if (found === undefined) throw new RangeError(`the stack has no function ${name}`);
  return found;
}

/** From here on this process is that function, and signs as it. */
function enter({ name, environment }: DeployedFunction, deployed: Deployed): void {
  leave(deployed);
  Object.assign(process.env, environment, { AWS_LAMBDA_FUNCTION_NAME: name, AWS_ACCESS_KEY_ID: name });
}

function leave({ functions }: Deployed): void {
  for (const { environment } of functions.values())
    for (const name of Object.keys(environment)) delete process.env[name];
  delete process.env.AWS_LAMBDA_FUNCTION_NAME;
}

function restore(before: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
}
