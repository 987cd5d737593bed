// How long after its process began a function sends its first RPC to etcd, with all that comes before it: starting up,
// importing, reading credentials, and what a workflow does first (lease, switch). The function is called as Lambda
// calls it; AWS is played by the stand-ins, etcd by a server that only notes when something is asked of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createSecureServer } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { type AwsStandIn, startAws } from '../lab/aws/stand-in.ts';
import { createAuthority } from '../lab/control-plane/certificates.ts';

/** Those that begin with etcd; a pruning begins with the API server. */
export const ASKS_ETCD: readonly string[] = ['probe', 'recover', 'maintain'];
const TIMEOUT_MS = 60_000;

/** Says when it began before it does anything else. */
const CALL = `
  console.log(performance.timeOrigin);
  const [, file, event] = process.argv;
  const { handler } = await import(file);
  await handler(JSON.parse(event), {
    awsRequestId: 'bench', functionName: 'bench', functionVersion: '1', invokedFunctionArn: 'arn:aws:lambda:eu-west-1:111122223333:function:bench',
    memoryLimitInMB: '512', logGroupName: 'bench', logStreamName: 'bench', getRemainingTimeInMillis: () => 900_000,
  });
`;

export interface FirstRpc extends AsyncDisposable {
  /**
   * @param file of the function's handler
   * @returns milliseconds from the beginning of the process
   * @throws Error where it ended, or went on for a minute, without one
   */
  measure(name: string, file: string): Promise<number>;
}

/** @param folder an empty one, for certificates */
export async function startFirstRpc(folder: string): Promise<FirstRpc> {
  const authority = await createAuthority(join(folder, 'pki'));
  const server = await authority.issue({ name: 'server' });
  const credentials = await authority.issue({ name: 'client', usages: ['client'] });
  const [ca, cert, key] = await Promise.all(
    [server.caFile, server.certFile, server.keyFile].map((file) => readFile(file)),
  );
  const etcd = createSecureServer({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), requestCert: true });
  // What is asked is never answered: the caller is ended first.
  etcd.on('stream', (stream) => stream.on('error', () => {}));
  etcd.on('session', (session) => session.on('error', () => {}));
  etcd.listen(0, '127.0.0.1');
  await once(etcd, 'listening');
  const address = etcd.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const cluster = { name: 'demo', etcd: { endpoints: [`https://127.0.0.1:${port}`], credentials }, snapshot: false };
  const asked = async (): Promise<number> => {
    await once(etcd, 'stream');
    return performance.timeOrigin + performance.now();
  };
  return {
    measure: async (name, file) => {
      await using aws = await startAws();
      const env = {
        ...aws.environment,
        AWS_LAMBDA_FUNCTION_NAME: `etcd-medic-demo-${name}`,
        ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
        POWERTOOLS_LOG_LEVEL: 'SILENT',
      };
      const first = asked();
      const child = await call(aws, name, (event) => start(file, event, env));
      const begun = child.begun;
      const ended = once(child.process, 'close').then(() => 'ended' as const);
      const at = await Promise.race([first, ended, wait(TIMEOUT_MS, 'waited' as const, { ref: false })]);
      child.process.kill('SIGKILL');
      await ended;
      if (typeof at === 'string') throw new Error(`${name} has sent etcd nothing (${at}): ${child.output()}`);
      return at - (await begun);
    },
    [Symbol.asyncDispose]: async () => {
      etcd.close();
    },
  };
}

interface Started {
  readonly process: ChildProcess;
  /** Milliseconds since 1970. */
  readonly begun: Promise<number>;
  readonly output: () => string;
}

function start(file: string, event: unknown, env: Readonly<Record<string, string>>): Started {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', CALL, file, JSON.stringify(event)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const { promise: begun, resolve } = Promise.withResolvers<number>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('\n')) resolve(Number.parseFloat(output));
    });
  }
  return { process: child, begun, output: () => output };
}

/**
 * A workflow is given its first invocation's event by the service, which keeps its record; the probe is just called.
 */
async function call(aws: AwsStandIn, name: string, begin: (event: unknown) => Started): Promise<Started> {
  if (name === 'probe') return begin({});
  const { promise, resolve } = Promise.withResolvers<Started>();
  const durable = (async (event: unknown) => {
    const started = begin(event);
    resolve(started);
    await once(started.process, 'close');
    throw new Error('one invocation is enough');
  }) as DurableLambdaHandler;
  const arn = aws.lambda.register(name, { durable, overTheWire: true });
  const command = { cluster: 'demo', workflow: name, trigger: { kind: 'manual', source: 'bench' }, dryRun: false };
  await fetch(`${aws.lambda.url}/2015-03-31/functions/${encodeURIComponent(arn)}/invocations`, {
    method: 'POST',
    headers: { 'x-amz-invocation-type': 'Event' },
    body: JSON.stringify(command),
  });
  return promise;
}
