import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { NoMemberAnsweredError } from '../../functions/etcd/errors.ts';
import { connectMember, type MemberOptions } from '../../functions/etcd/member-client.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { TcpProxy } from '../../lab/control-plane/proxy.ts';
import { materialOf, rejection } from './material.ts';
import { hanging, plainHttp, type StandIn, unanswering } from './stand-ins.ts';

describe('finding the members of a cluster of three', () => {
  let plane: ControlPlane;
  let tls: TlsMaterial | undefined;

  beforeAll(async () => {
    plane = await startControlPlane({ version: '3.5.30', members: 3 });
    tls = await materialOf(plane);
  });
  afterAll(() => plane?.stop());
  afterEach(async () => {
    for (const { name } of plane.members) plane.resume(name);
    await plane.ready();
  });

  function endpointOf(name: string): string {
    return plane.member(name).endpoint;
  }

  it.each([
    ['all', ['cp-1', 'cp-2', 'cp-3']],
    ['one', ['cp-2']],
  ])('from %s of the endpoints, each with an open connection', async (_name, names) => {
    await using cluster = await discoverMembers({ endpoints: names.map(endpointOf), tls });

    expect(cluster.endpointProblems).toEqual([]);
    expect(cluster.members.map(({ name }) => name).sort()).toEqual(['cp-1', 'cp-2', 'cp-3']);
    for (const { id, name, endpoint, problem } of cluster.members) {
      expect({ id, endpoint, problem }).toEqual({
        id: plane.member(name).id,
        endpoint: endpointOf(name),
        problem: undefined,
      });
      expect((await cluster.client(id)?.status())?.memberId).toBe(id);
    }
    expect(cluster.client('no such id')).toBeUndefined();
  });

  it('R19: a member behind two endpoints is one member, reached at its own, and the other connection is closed', async () => {
    const made: MemberClient[] = [];
    const endpoints = [
      endpointOf('cp-1').replace('127.0.0.1', 'localhost'),
      `${endpointOf('cp-1')}/`,
      endpointOf('cp-1'),
    ];

    await using cluster = await discoverMembers({
      endpoints,
      tls,
      connect: (options) => {
        const client = connectMember(options);
        made.push(client);
        return client;
      },
    });

    const first = cluster.members.find(({ name }) => name === 'cp-1');
    expect(cluster.members).toHaveLength(3);
    expect(first?.endpoint).toBe(endpointOf('cp-1'));
    const open = await Promise.allSettled(made.map((client) => client.status()));
    expect(made).toHaveLength(4);
    expect(open.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  it('closes all of its connections when it is disposed of', async () => {
    const cluster = await discoverMembers({ endpoints: plane.endpoints, tls });
    const [id] = cluster.members.map((member) => member.id);

    await cluster[Symbol.asyncDispose]();

    const error = await rejection(cluster.client(id ?? '')?.status() ?? Promise.resolve());
    expect(error).toMatchObject({ name: 'EtcdUnreachableError', outcome: 'not-done' });
  });

  it('a member that hangs has a problem, and the search takes no longer than one deadline', async () => {
    plane.pause('cp-2');
    const started = performance.now();

    await using cluster = await discoverMembers({ endpoints: plane.endpoints, tls, deadlines: { statusMs: 3_500 } });

    const { id } = plane.member('cp-2');
    const hung = cluster.members.find((member) => member.id === id);
    expect(hung).toMatchObject({ endpoint: undefined });
    expect(hung?.problem).toMatch(/no (connection|answer) within 3500 ms/);
    expect(cluster.client(id)).toBeUndefined();
    expect(cluster.endpointProblems.map(({ endpoint }) => endpoint)).toEqual([endpointOf('cp-2')]);
    expect(cluster.members.filter(({ problem }) => problem === undefined)).toHaveLength(2);
    // Twice that would be two deadlines, one after the other.
    expect(performance.now() - started).toBeLessThan(7_000);
  });

  it('members that hang are no longer waited for when only others were given', async () => {
    plane.pause('cp-2');

    await using cluster = await discoverMembers({
      endpoints: [endpointOf('cp-1')],
      tls,
      deadlines: { statusMs: 3_000 },
    });

    expect(cluster.endpointProblems).toEqual([]);
    expect(cluster.members.filter(({ problem }) => problem !== undefined).map(({ name }) => name)).toEqual(['cp-2']);
  });

  it('without a quorum the members are found all the same, and nothing that needs one works', async () => {
    plane.pause('cp-2');
    plane.pause('cp-3');

    await using cluster = await discoverMembers({
      endpoints: [endpointOf('cp-1')],
      tls,
      deadlines: { statusMs: 3_000, alarmMs: 12_000, compactMs: 12_000, healthMs: 3_000 },
    });

    const client = cluster.client(plane.member('cp-1').id);
    expect(cluster.members).toHaveLength(3);
    if (!client) throw new Error('cp-1 was not found');
    await client.checkServing();
    const failures = await Promise.all([
      rejection(client.alarms()),
      rejection(client.compact(1n)),
      rejection(client.checkHealth()),
    ]);
    expect(failures.map(({ name }) => name)).toEqual([
      'QuorumLostError',
      'QuorumLostError',
      expect.stringMatching(/^(EtcdTimeoutError|QuorumLostError)$/),
    ]);
    expect(failures).toEqual(Array(3).fill(expect.objectContaining({ outcome: 'unknown' })));
  });

  it('R11: a member is asked for a full time of its own, however late it was heard of', async () => {
    const { endpoint } = plane.member('cp-1');
    // Who tells of the others does so after most of the time; the other one answers after as long again.
    await using late = await TcpProxy.listen(
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: Number(new URL(endpoint).port) },
      () => wait(3_200).then(() => undefined),
    );
    plane.pause('cp-2');
    const resumed = wait(4_800).then(() => plane.resume('cp-2'));

    await using cluster = await discoverMembers({
      endpoints: [`https://127.0.0.1:${late.port}`],
      tls,
      deadlines: { statusMs: 4_000 },
    });

    await resumed;
    expect(cluster.members.find(({ name }) => name === 'cp-2')).toMatchObject({ problem: undefined, silent: false });
  });

  it('R11: is ended early with what is known by then, and nobody is silent who was not asked for the full time', async () => {
    plane.pause('cp-2');
    const giveUp = new AbortController();
    // Once everybody else has answered, who is waited for is the one that hangs.
    const connect = (options: MemberOptions) => {
      const client = connectMember(options);
      if (options.endpoint === endpointOf('cp-3'))
        void client.memberList().then(() => giveUp.abort(new Error('enough')));
      return client;
    };

    await using cluster = await discoverMembers({
      endpoints: [endpointOf('cp-1'), endpointOf('cp-2')],
      tls,
      deadlines: { statusMs: 60_000 },
      giveUp: giveUp.signal,
      connect,
    });

    const hung = cluster.members.find(({ id }) => id === plane.member('cp-2').id);
    expect(hung).toMatchObject({ endpoint: undefined, problem: 'enough', silent: false });
  });

  it.each<[string, boolean, () => Promise<readonly [string, AsyncDisposable?]>]>([
    ['nothing listens at', true, async () => ['https://127.0.0.1:1']],
    ['accepts connections, and never says a byte,', true, async () => standIn(await hanging())],
    ['shakes hands, and answers nothing,', false, async () => standIn(await unanswering(await serverMaterial()))],
    ['has a name that does not resolve', false, async () => ['https://no-such-host.invalid:2379']],
  ])('R11: who %s is silent: %s', async (_name, silent, start) => {
    const [endpoint, server] = await start();

    const error = await rejection(discoverMembers({ endpoints: [endpoint], tls, deadlines: { statusMs: 2_000 } }));
    await server?.[Symbol.asyncDispose]();

    expect(error).toMatchObject({ name: 'NoMemberAnsweredError', problems: [{ endpoint, silent }] });
  });

  function standIn(server: StandIn): readonly [string, AsyncDisposable] {
    return [`https://${server.hostAndPort}`, server];
  }

  async function serverMaterial() {
    const [cert = '', key = ''] = await Promise.all(
      ['crt', 'key'].map((ending) => readFile(join(plane.directory, 'pki', `cp-1-server.${ending}`), 'utf8')),
    );
    return { cert, key };
  }

  it('an endpoint that is no member is reported beside those that are', async () => {
    await using web = await plainHttp();

    await using cluster = await discoverMembers({
      endpoints: [`https://${web.hostAndPort}`, endpointOf('cp-1')],
      tls,
    });

    expect(cluster.members.every(({ problem }) => problem === undefined)).toBe(true);
    expect(cluster.endpointProblems).toEqual([
      {
        endpoint: `https://${web.hostAndPort}`,
        problem: expect.stringContaining('does not speak TLS'),
        silent: false,
      },
    ]);
  });

  it('refuses endpoints of two different clusters', async () => {
    await using other = await startControlPlane({ version: '3.5.30', members: 1, tls: false });

    const error = await rejection(discoverMembers({ endpoints: [endpointOf('cp-1'), ...other.endpoints], tls }));

    expect(error.name).toBe('DifferentClustersError');
    expect(error.message).toContain(`${other.endpoints[0]} is of cluster`);
  });

  it('R15: fails clearly, with a line for each endpoint, when nobody answers', async () => {
    await using silent = await hanging();
    const endpoints = ['https://127.0.0.1:1', `https://${silent.hostAndPort}`];

    const error = await rejection(discoverMembers({ endpoints, tls, deadlines: { statusMs: 2_000 } }));

    expect(error).toBeInstanceOf(NoMemberAnsweredError);
    expect(error).toMatchObject({ problems: endpoints.map((endpoint) => ({ endpoint })) });
    const lines = error.message.split('\n');
    expect(lines[0]).toBe('none of the 2 endpoints answered as a member of etcd');
    expect(lines[1]).toMatch(/^- Status at https:\/\/127\.0\.0\.1:1: the connection was refused/);
    expect(lines[2]).toMatch(/^- Status at .*: no (connection|answer) within 2000 ms/);
  });

  it.each<[string, () => Promise<readonly string[]>, TlsOverride, RegExp]>([
    ['the CA is wrong', async () => plane.endpoints, 'wrong CA', /; TLS failed at every one of them/],
    [
      'nothing listens',
      async () => ['https://127.0.0.1:1'],
      'none',
      /^the endpoint did not answer .*; none can be reached/,
    ],
  ])('says what all endpoints have in common when %s', async (_name, endpoints, override, message) => {
    const material = override === 'wrong CA' && tls ? { ...tls, ca: tls.cert } : tls;

    const error = await rejection(discoverMembers({ endpoints: await endpoints(), tls: material }));

    expect(error.name).toBe('NoMemberAnsweredError');
    expect(error.message).toMatch(message);
  });

  it('refuses an empty list of endpoints', async () => {
    expect((await rejection(discoverMembers({ endpoints: [], tls }))).name).toBe('InvalidInputError');
  });
});

type TlsOverride = 'wrong CA' | 'none';

describe('finding the members of a single-member cluster', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({ version: '3.4.23', members: 1, tls: false });
  });
  afterAll(() => plane?.stop());

  it('names a learner and one that was added and never started, and has a connection to the learner', async () => {
    const learner = await plane.addLearner();
    const [voter = ''] = plane.endpoints;
    await using alone = await discoverMembers({ endpoints: [voter] });
    const error = await rejection(discoverMembers({ endpoints: [learner.endpoint] }));
    await withMember(plane, voter, (client) =>
      client.cluster.memberAdd({ peerURLs: ['http://127.0.0.1:1'], isLearner: false }, within(5_000)),
    );

    // It makes two voters of which one is missing: the list is told all the same.
    await using cluster = await discoverMembers({ endpoints: [voter] });

    expect(alone.members.map(({ isLearner, problem }) => ({ isLearner, problem }))).toEqual(
      expect.arrayContaining([
        { isLearner: false, problem: undefined },
        { isLearner: true, problem: undefined },
      ]),
    );
    expect((await alone.client(learner.id)?.status())?.isLearner).toBe(true);
    expect(error.message).toContain('a learner, which does not tell the member list');
    expect(cluster.members).toHaveLength(3);
    expect(cluster.members.filter(({ name }) => name === '')).toEqual([
      expect.objectContaining({
        clientUrls: [],
        endpoint: undefined,
        problem: expect.stringContaining('never been started'),
      }),
    ]);
  });
});

describe('finding a member whose client URL is of no use from here', () => {
  it('R11: does not call it silent, since nobody has asked it', async () => {
    // Only who shares its file system reaches a unix socket; etcd itself is as well as can be.
    await using plane = await startControlPlane({
      version: '3.5.30',
      members: 2,
      tls: false,
      flags: ['--advertise-client-urls=unix://127.0.0.1:2379'],
    });
    const { id, endpoint } = plane.member('cp-1');

    await using cluster = await discoverMembers({ endpoints: [endpoint] });

    expect(cluster.members.find((member) => member.id === id)).toMatchObject({ problem: undefined, silent: false });
    expect(cluster.members.find((member) => member.id !== id)).toMatchObject({
      problem: expect.stringContaining("unix://127.0.0.1:2379 can't be reached from here"),
      silent: false,
    });
  });
});
