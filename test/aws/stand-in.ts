// The AWS services that the functions call, on this machine: the real SDK clients talk to them over HTTP.
import { type DynamoDbStandIn, startDynamoDb } from './dynamodb.ts';
import { type EventBridgeStandIn, type RecordedEvent, startEventBridge } from './eventbridge.ts';
import { type LambdaStandIn, startLambda } from './lambda.ts';
import { type SecretsManagerStandIn, startSecretsManager } from './secretsmanager.ts';
import type { ApiCall } from './server.ts';

export interface AwsStandIn extends AsyncDisposable {
  /** What the SDK needs to find the stand-ins, and `ETCD_MEDIC_TABLE` and `ETCD_MEDIC_BUS`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly table: string;
  readonly bus: string;
  readonly lambda: LambdaStandIn;
  readonly dynamoDb: DynamoDbStandIn;
  readonly eventBridge: EventBridgeStandIn;
  readonly secretsManager: SecretsManagerStandIn;
  /** Every event on the bus, in order. */
  readonly events: readonly RecordedEvent[];
  /** Every API action called, in order. */
  readonly calls: readonly ApiCall[];
  /** Sets `environment` in this process; `stop` sets back what was there. */
  enter(): void;
  /** Waits for the executions that still run, and closes everything. Can be called twice. */
  stop(): Promise<void>;
}

export async function startAws(): Promise<AwsStandIn> {
  const calls: ApiCall[] = [];
  const before = new Map<string, string | undefined>();
  await using started = new AsyncDisposableStack();
  // First in, last out: executions that still run while the stand-ins stop need the environment.
  started.defer(() => restore(before));
  const lambda = started.use(await startLambda(calls));
  const dynamoDb = started.use(await startDynamoDb(calls));
  const eventBridge = started.use(await startEventBridge(calls));
  const secretsManager = started.use(await startSecretsManager(calls));
  const bus = 'default';
  const environment = {
    AWS_ENDPOINT_URL_LAMBDA: lambda.url,
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.url,
    AWS_ENDPOINT_URL_EVENTBRIDGE: eventBridge.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secretsManager.url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    ETCD_MEDIC_TABLE: dynamoDb.table,
    ETCD_MEDIC_BUS: bus,
  };
  // All are up: from here on the caller ends them.
  const running = started.move();
  const stop = () => running.disposeAsync();
  return {
    environment,
    table: dynamoDb.table,
    bus,
    lambda,
    dynamoDb,
    eventBridge,
    secretsManager,
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
