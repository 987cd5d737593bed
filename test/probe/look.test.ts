// The look by itself: where it gets the members' addresses and the certificate, what it does without, and that it ends.
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { LOOK_DEADLINE_MS, look } from '../../functions/probe/look.ts';
import { ProbeMemory } from '../../functions/probe/sources.ts';
import { STORE_DEADLINE_MS } from '../../functions/probe/store.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { hanging } from '../etcd/stand-ins.ts';
import { bareNode } from '../nodes/service.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:etcd';
const TAG = { key: 'cluster', value: 'demo' };

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ members: 2, addresses: true });
});
afterAll(() => plane?.stop());

let aws: AwsStandIn;
beforeEach(async () => {
  aws = await startAws();
  aws.enter();
  for (const [i, { address }] of plane.members.entries()) {
    const node = bareNode(i + 1, { ipAddress: address, tags: { [TAG.key]: TAG.value } });
    aws.ssm.nodes.set(node.instanceId, node);
  }
  const { caFile = '', certFile = '', keyFile = '' } = plane.credentials ?? {};
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map((file) => readFile(file, 'utf8')));
  aws.secretsManager.secrets.set(SECRET, JSON.stringify({ ca, cert, key }));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await aws.stop();
});

/** Knows neither addresses nor certificate by itself. */
function configuration() {
  const clientPort = Number(new URL(plane.endpoints[0] ?? '').port);
  return plane.configuration({
    etcd: { endpoints: undefined, clientPort, credentials: { secretArn: SECRET } },
    nodes: { tag: TAG },
  });
}

/** Long enough for a service that does answer, on a busy machine too. */
const impatient = { maxAgeMs: 0, patienceMs: 1_500 };
const callsOf = (action: string) => aws.calls.filter((call) => call.action === action).length;

describe('the look', () => {
  it('finds the members by their nodes, and asks for nodes and certificate once in five minutes', async () => {
    const memory = new ProbeMemory();

    const looks = [await look(configuration(), memory), await look(configuration(), memory)];

    const seen = { kind: 'seen', remembered: [], endpoints: plane.endpoints };
    expect(looks).toEqual(Array(2).fill(expect.objectContaining(seen)));
    expect(looks[0]).toMatchObject({ observation: { members: [{ healthy: true }, { healthy: true }] } });
    expect(callsOf('ssm:DescribeInstanceInformation')).toBe(1);
    expect(callsOf('secretsmanager:GetSecretValue')).toBe(1);
  });

  it.each<[string, RegExp, () => Promise<AsyncDisposable | undefined>]>([
    [
      'that refuses to list the nodes',
      /not allowed or not there/,
      async () => void aws.ssm.refuseNext('DescribeInstanceInformation', 100, 'AccessDeniedException'),
    ],
    ['that has no node with the tag any more', /no node with the tag/, async () => void aws.ssm.nodes.clear()],
    ['that hangs', /Systems Manager: no answer within 1500 ms/, () => silentService('SSM')],
  ])('goes on with the addresses that it knows, beside a Systems Manager %s', async (_how, words, trouble) => {
    const memory = new ProbeMemory(impatient);
    await look(configuration(), memory);
    await using _service = await trouble();

    const again = await look(configuration(), memory);

    expect(again).toMatchObject({ kind: 'seen', remembered: [expect.stringMatching(words)] });
    expect(again).toMatchObject({ observation: { members: [{ healthy: true }, { healthy: true }] } });
  });

  it.each<[string, RegExp, () => Promise<AsyncDisposable | undefined>]>([
    ['is gone', /can't be read: ResourceNotFoundException/, async () => void aws.secretsManager.secrets.clear()],
    ['does not come', /etcd\.credentials: no answer within 1500 ms/, () => silentService('SECRETS_MANAGER')],
  ])('goes on with the certificate that it knows, where the secret %s', async (_how, words, trouble) => {
    const memory = new ProbeMemory(impatient);
    await look(configuration(), memory);
    await using _service = await trouble();

    const again = await look(configuration(), memory);

    expect(again).toMatchObject({ kind: 'seen', remembered: [expect.stringMatching(words)] });
  });

  it('that never knew where the members are says so, and not how many are away', async () => {
    aws.ssm.refuseNext('DescribeInstanceInformation', 100, 'AccessDeniedException');

    const blind = await look(configuration(), new ProbeMemory(impatient));

    expect(blind).toMatchObject({ kind: 'blind', endpoints: undefined });
    expect(blind).toMatchObject({ problem: expect.stringContaining('tried to list them: not allowed') });
  });

  it('is over at its deadline, with what has not answered by then as the problem of that member', async () => {
    const [paused = '', other = ''] = plane.members.map(({ name }) => name);
    plane.pause(paused);
    try {
      const seen = await look(plane.configuration(), new ProbeMemory(), 3_000);

      const problems = Object.fromEntries(
        seen.kind === 'seen' ? seen.observation.members.map(({ name, problem }) => [name, problem]) : [],
      );
      expect(problems).toEqual({
        [paused]: expect.stringMatching(/no (answer|connection) within 2500 ms/),
        // It waits for a quorum that does not come.
        [other]: 'no answer within the 3 s that a probe has',
      });
    } finally {
      plane.resume(paused);
    }
  });

  it('and the writing of its record together end within the 10 seconds that a probe may take', () => {
    expect(LOOK_DEADLINE_MS + STORE_DEADLINE_MS).toBeLessThan(10_000);
  });
});

/** Takes connections for a service, and never says a word. */
async function silentService(name: string): Promise<AsyncDisposable> {
  const server = await hanging();
  vi.stubEnv(`AWS_ENDPOINT_URL_${name}`, `http://${server.hostAndPort}`);
  return server;
}
