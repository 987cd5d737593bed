// The AWS services that the functions call, on this machine: the real SDK clients talk to them over HTTP.
import type { FunctionVariables } from '../../functions/contract/variables.ts';
import { type DynamoDbStandIn, startDynamoDb } from './dynamodb.ts';
import { type EventBridgeStandIn, type RecordedEvent, startEventBridge } from './eventbridge.ts';
import { type LambdaStandIn, startLambda } from './lambda.ts';
import { type S3StandIn, startS3 } from './s3.ts';
import { type SecretsManagerStandIn, startSecretsManager } from './secretsmanager.ts';
import type { ApiCall } from './server.ts';
import { type SnsStandIn, startSns } from './sns.ts';
import { type SsmOptions, type SsmStandIn, startSsm } from './ssm.ts';

/** The switch (R16) of the cluster `demo`, as its stack names it; it says `auto` at first. */
const SWITCH_PARAMETER = '/etcd-medic/demo/mode';

export interface AwsStandIn extends AsyncDisposable {
  /** What the SDK needs to find the stand-ins, and all that the stack tells a workflow, but its cluster. */
  readonly environment: Readonly<Record<string, string>>;
  readonly table: string;
  readonly bus: string;
  /** Its value is in `ssm.parameters`. */
  readonly switchParameter: string;
  readonly lambda: LambdaStandIn;
  readonly dynamoDb: DynamoDbStandIn;
  readonly eventBridge: EventBridgeStandIn;
  readonly secretsManager: SecretsManagerStandIn;
  /** Knows no nodes and no documents yet. */
  readonly ssm: SsmStandIn;
  readonly s3: S3StandIn;
  readonly sns: SnsStandIn;
  /** Every event on the bus, in order. */
  readonly events: readonly RecordedEvent[];
  /** Every API action called, in order. */
  readonly calls: readonly ApiCall[];
  /** Sets `environment` in this process; `stop` sets back what was there. */
  enter(): void;
  /** Waits for the executions that still run, and closes everything. Can be called twice. */
  stop(): Promise<void>;
}

/** @param options how fast Systems Manager's clock goes */
export async function startAws(options: SsmOptions = {}): Promise<AwsStandIn> {
  const calls: ApiCall[] = [];
  const before = new Map<string, string | undefined>();
  await using started = new AsyncDisposableStack();
  // First in, last out: executions that still run while the stand-ins stop need the environment.
  started.defer(() => restore(before));
  const lambda = started.use(await startLambda(calls));
  const dynamoDb = started.use(await startDynamoDb(calls));
  const eventBridge = started.use(await startEventBridge(calls));
  const secretsManager = started.use(await startSecretsManager(calls));
  const ssm = started.use(await startSsm(calls, options));
  ssm.parameters.set(SWITCH_PARAMETER, 'auto');
  const s3 = started.use(await startS3(calls));
  const sns = started.use(await startSns(calls));
  const bus = 'default';
  const environment = {
    AWS_ENDPOINT_URL_LAMBDA: lambda.url,
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.url,
    AWS_ENDPOINT_URL_EVENTBRIDGE: eventBridge.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secretsManager.url,
    AWS_ENDPOINT_URL_SSM: ssm.url,
    // An IP address: the SDK then puts the bucket into the path.
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ENDPOINT_URL_SNS: sns.url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    ETCD_MEDIC_TABLE: dynamoDb.table,
    ETCD_MEDIC_BUS: bus,
    ETCD_MEDIC_SWITCH: SWITCH_PARAMETER,
    ETCD_MEDIC_SNAPSHOT_BUCKET: s3.bucket,
    ETCD_MEDIC_TOPIC: sns.topic,
  } satisfies FunctionVariables & Readonly<Record<`AWS_${string}`, string>>;
  // All are up: from here on the caller ends them.
  const running = started.move();
  const stop = () => running.disposeAsync();
  return {
    environment,
    table: dynamoDb.table,
    bus,
    switchParameter: SWITCH_PARAMETER,
    lambda,
    dynamoDb,
    eventBridge,
    secretsManager,
    ssm,
    s3,
    sns,
    events: eventBridge.events,
    calls,
    enter: () => {
      for (const [name, value] of Object.entries(environment)) {
        if (!before.has(name)) before.set(name, process.env[name]);
        process.env[name] = value;
      }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function restore(before: ReadonlyMap<string, string | undefined>): void {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}
