// The decision alone: a table of situations, and properties that hold for any of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observation, ObservedMember } from '../../functions/control-plane/observation.ts';
import { decide, type Plan } from '../../functions/recover/decide.ts';

const MiB = 1024 * 1024;
const policy = { watchSeconds: 60 };

function member(name: string, changes: Partial<ObservedMember> = {}): ObservedMember {
  return {
    id: name,
    name,
    endpoint: `https://${name}:2379`,
    hosts: [name],
    isLearner: false,
    isLeader: false,
    healthy: true,
    silent: false,
    version: '3.5.30',
    dbSize: 2048 * MiB,
    dbSizeInUse: 2040 * MiB,
    quota: { kind: 'limit', bytes: 2048 * MiB, source: 'metrics' },
    ...changes,
  };
}

function observation(changes: Partial<Observation> = {}): Observation {
  return {
    clusterId: 'c',
    members: [member('a'), member('b', { isLeader: true }), member('c')],
    alarms: [{ memberId: 'a', type: 'NOSPACE' }],
    revision: '4711',
    ...changes,
  };
}

function actions(plan: Plan): string[] {
  if (plan.kind !== 'steps') throw new Error(`expected steps, found ${JSON.stringify(plan)}`);
  return plan.steps.map((step) =>
    step.action === 'defragment'
      ? `defragment ${step.memberId}`
      : step.action === 'move-leader'
        ? `move-leader ${step.fromMemberId}`
        : step.action,
  );
}

describe('decide', () => {
  it('R3, R4, R7: compacts, defragments followers first and the leader last, then disarms, writes and watches', () => {
    expect(actions(decide(observation(), policy))).toEqual([
      'compact',
      'defragment a',
      'defragment c',
      'move-leader b',
      'defragment b',
      'disarm',
      'canary',
      'watch',
    ]);
  });

  it('compacts every voter to the newest revision that was seen', () => {
    const plan = decide(observation(), policy);
    expect(plan).toMatchObject({ kind: 'steps' });
    expect(plan.kind === 'steps' && plan.steps[0]).toEqual({
      action: 'compact',
      revision: '4711',
      memberIds: ['a', 'b', 'c'],
    });
  });

  it('has no leader to move where there is one member', () => {
    const plan = decide(observation({ members: [member('a', { isLeader: true })] }), policy);
    expect(actions(plan)).toEqual(['compact', 'defragment a', 'disarm', 'canary', 'watch']);
  });

  it('R3: leaves learners alone', () => {
    const members = [...observation().members, member('d', { isLearner: true })];
    expect(actions(decide(observation({ members }), policy))).not.toContain('defragment d');
  });

  it('only disarms where somebody has defragmented and forgotten the alarm', () => {
    const members = observation().members.map((m) => ({ ...m, dbSize: 20 * MiB }));
    expect(actions(decide(observation({ members }), policy))).toEqual(['disarm', 'canary', 'watch']);
  });

  it('leaves a member alone whose file is far below its own quota', () => {
    const members = [
      member('a'),
      member('b', { isLeader: true, quota: { kind: 'limit', bytes: 16_384 * MiB, source: 'metrics' } }),
    ];
    expect(actions(decide(observation({ members }), policy))).toEqual([
      'compact',
      'defragment a',
      'disarm',
      'canary',
      'watch',
    ]);
  });

  it.each([
    [
      'CORRUPT beside NOSPACE',
      [
        { memberId: 'a', type: 'NOSPACE' },
        { memberId: 'b', type: 'CORRUPT' },
      ],
    ],
    ['CORRUPT alone', [{ memberId: 'b', type: 'CORRUPT' }]],
    ['an alarm of a kind not known', [{ memberId: 'b', type: 'UNKNOWN' }]],
  ] as const)('R1: %s is escalated', (_name, alarms) => {
    expect(decide(observation({ alarms }), policy)).toMatchObject({
      kind: 'refusal',
      outcome: 'escalated',
      rule: 'R1',
    });
  });

  it('R1: comes before everything else, also without a quorum', () => {
    const members = observation().members.map((m) => ({ ...m, healthy: false }));
    const alarms = [{ memberId: 'b', type: 'CORRUPT' }] as const;
    expect(decide(observation({ members, alarms }), policy)).toMatchObject({ rule: 'R1' });
  });

  const node = (name: string, online = true) => ({ instanceId: `i-${name}`, name, ipAddress: name, online });
  const silence = (...names: string[]) =>
    observation().members.map((m) =>
      names.includes(m.name) ? { ...m, healthy: false, silent: true, problem: 'refused' } : m,
    );

  const withoutQuorum = (members: readonly ObservedMember[]) =>
    members.map((m) => (m.healthy ? { ...m, healthy: false, problem: 'no leader' } : m));

  it('R11: restarts the kubelets of all silent nodes together when the quorum is lost, whatever alarms are known', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const members = withoutQuorum(silence('a', 'c'));
    const plan = decide(observation({ members, alarms: [], nodes }), policy);
    expect(plan).toEqual({
      kind: 'restart-kubelets',
      together: true,
      nodes: [node('a'), node('c')],
      offline: [],
      unknown: [],
    });
  });

  it('R11: a quorum is held where a single voter answers a linearizable read, whoever is out of reach from here', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const members = silence('a', 'c');
    expect(decide(observation({ members, nodes }), policy)).toMatchObject({
      kind: 'restart-kubelets',
      together: false,
    });
    expect(decide(observation({ members, nodes, alarms: [] }), policy).kind).toBe('nothing-to-do');
  });

  it('R11: where no member answers at all, restarts the kubelets of the nodes at whose addresses nothing answers', () => {
    const told = (name: string) => ({ ...node(name), etcdUrls: [`https://${name}:2379`] });
    const nodes = [told('a'), node('b', false), told('c')];
    const nobody = { silentHosts: ['a', 'b'], problem: 'connection refused' };
    const plan = decide(observation({ members: [], alarms: [], nodes, nobody }), policy);
    expect(plan).toEqual({
      kind: 'restart-kubelets',
      together: true,
      nodes: [told('a')],
      offline: [node('b', false)],
      unknown: ['c (i-c: c) is not silent at all of c'],
    });
  });

  it('R11: while the quorum is held goes one by one, and only for the sake of an alarm', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const members = silence('a');
    expect(decide(observation({ members, nodes }), policy)).toMatchObject({
      kind: 'restart-kubelets',
      together: false,
    });
    expect(decide(observation({ members, nodes, alarms: [] }), policy).kind).toBe('nothing-to-do');
  });

  it('R11: never where the configuration says that it would not help: refused, with what to look at', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const never = { ...policy, restartKubelets: false };
    const lost = decide(observation({ members: withoutQuorum(silence('a', 'c')), nodes }), never);
    expect(lost).toMatchObject({ kind: 'refusal', outcome: 'refused', rule: 'R2' });
    expect(lost).toHaveProperty('reason', expect.stringContaining('No kubelet is restarted on this cluster'));
    expect(decide(observation({ members: silence('a'), nodes }), never)).toMatchObject({ kind: 'refusal' });
  });

  it('R11: never twice in a run: then a person is needed', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const plan = decide(
      observation({ members: silence('a', 'b'), nodes, kubelets: { restarted: ['a'], perhaps: [], problems: [] } }),
      policy,
    );
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'escalated' });
  });

  it('R11: once the kubelets were restarted, no alarm and every voter there is an end of its own', () => {
    const plan = decide(observation({ alarms: [], kubelets: { restarted: ['a'], perhaps: [], problems: [] } }), policy);
    expect(plan).toMatchObject({
      kind: 'nothing-to-do',
      reason: expect.stringMatching(/after their kubelets were restarted/),
    });
  });

  it('R11: a voter that is away after its kubelet was restarted is for a person, also where no alarm is raised', () => {
    const plan = decide(
      observation({ members: silence('a'), alarms: [], kubelets: { restarted: ['a'], perhaps: [], problems: [] } }),
      policy,
    );
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'escalated', rule: 'R11' });
    expect(plan).toHaveProperty('reason', expect.stringMatching(/^a .*does not answer: refused\./));
  });

  const EC2 = ['10.0.0.11', '10.0.0.12', '10.0.0.13'].map((ipAddress, i) => ({
    instanceId: `i-0aaaaaaaaaaaaaaa${i}`,
    name: `ip-${ipAddress.replaceAll('.', '-')}.eu-central-1.compute.internal`,
    ipAddress,
    online: true,
  }));
  const at = (hosts: readonly string[]) =>
    withoutQuorum(silence('a', 'b', 'c')).map((m, i) => ({ ...m, hosts: [hosts[i] ?? ''] }));

  it.each([
    ["the nodes' own names", EC2.map(({ name }) => name)],
    ['short names', EC2.map(({ name }) => name.split('.')[0] ?? '')],
    ['resource names', EC2.map(({ instanceId }) => `${instanceId}.eu-central-1.compute.internal`)],
    ['addresses of another interface, as the node told', ['10.9.0.1', '10.9.0.2', '10.9.0.3']],
  ])('R11: knows the nodes of silent members that advertise %s', (_what, hosts) => {
    const nodes = EC2.map((each, i) => ({ ...each, addresses: [each.ipAddress, `10.9.0.${i + 1}`] }));
    const plan = decide(observation({ members: at(hosts), nodes }), policy);
    expect(plan).toEqual({ kind: 'restart-kubelets', together: true, nodes, offline: [], unknown: [] });
  });

  it('R11: restarts no kubelet where no node is known by what the members advertise, and says what was compared', () => {
    const plan = decide(observation({ members: at(['x.example', 'y.example', 'z.example']), nodes: EC2 }), policy);
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'refused', rule: 'R2' });
    expect(plan).toHaveProperty(
      'reason',
      expect.stringMatching(
        /No kubelet was restarted \(R11\): a is silent, and its node is not among those with the tag: x\.example compared with ip-10-0-0-11.*10\.0\.0\.11/,
      ),
    );
  });

  it('R11: restarts no kubelet for an address that is on every node', () => {
    const nodes = EC2.map((each) => ({ ...each, ipAddress: '172.17.0.1', name: each.instanceId }));
    const members = at(['172.17.0.1', '172.17.0.1', '172.17.0.1']);
    const plan = decide(observation({ members, nodes }), policy);
    expect(plan).toMatchObject({
      kind: 'refusal',
      reason: expect.stringContaining('which of the nodes it is on cannot be told'),
    });
    const nobody = { silentHosts: ['172.17.0.1'], problem: 'timeout' };
    const told = nodes.map((each) => ({ ...each, etcdUrls: ['https://172.17.0.1:2379'] }));
    expect(decide(observation({ members: [], alarms: [], nodes: told, nobody }), policy).kind).toBe('refusal');
  });

  it('R11: restarts no kubelet of a node that did not tell where its etcd is, where nobody answers', () => {
    const nobody = { silentHosts: EC2.map(({ ipAddress }) => ipAddress), problem: 'timeout' };
    const plan = decide(observation({ members: [], alarms: [], nodes: EC2, nobody }), policy);
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'refused' });
    expect(plan).toHaveProperty('reason', expect.stringContaining('does not tell where its etcd is'));
  });

  it('R11: restarts no kubelet of a node on which another member answers', () => {
    const members = observation().members.map((m, i) => ({
      ...m,
      hosts: ['10.0.0.11'],
      ...(i === 0 && { healthy: false, silent: true }),
    }));
    const plan = decide(observation({ members, nodes: EC2 }), policy);
    expect(plan).toMatchObject({
      kind: 'refusal',
      reason: expect.stringContaining('but b answers on what would be its node'),
    });
  });

  it('R11: does not say that restarting did not help where no kubelet was restarted', () => {
    const kubelets = { restarted: [], perhaps: [], problems: ['a: Systems Manager refused it'] };
    const lost = decide(observation({ members: withoutQuorum(silence('a', 'b')), kubelets }), policy);
    expect(lost).toMatchObject({ kind: 'refusal', outcome: 'escalated', rule: 'R2' });
    const held = decide(observation({ members: silence('a'), kubelets }), policy);
    const quiet = decide(observation({ members: silence('a'), alarms: [], kubelets }), policy);
    for (const plan of [lost, held, quiet]) {
      const reason = plan.kind === 'refusal' ? plan.reason : '';
      expect(reason).toContain('No kubelet was restarted where that could not be done: a: Systems Manager refused it');
      expect(reason).not.toMatch(/did not (bring|help)/);
    }
    const unsure = { restarted: [], perhaps: ['a'], problems: [] };
    expect(decide(observation({ members: silence('a'), kubelets: unsure }), policy)).toHaveProperty(
      'reason',
      expect.stringContaining('Whether the kubelets of a were restarted is not known'),
    );
  });

  it('R11: never where something answers, be it with a TLS error', () => {
    const nodes = [node('a'), node('b'), node('c')];
    const members = observation().members.map((m) => ({ ...m, healthy: false, silent: false, problem: 'wrong CA' }));
    expect(decide(observation({ members, nodes }), policy)).toMatchObject({ kind: 'refusal', outcome: 'refused' });
  });

  it('R6: refuses where a disk cannot hold what is in use and a tenth more, and names the bytes', () => {
    const disks = observation().members.map(({ id }) => ({
      memberId: id,
      path: '/var/lib/etcd',
      freeBytes: id === 'b' ? 5 * MiB : 9000 * MiB,
    }));
    const plan = decide(observation({ disks }), policy);
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'refused', rule: 'R6' });
    expect(JSON.stringify(plan)).toContain(`b: ${Math.ceil(2040 * MiB * 1.1)} bytes`);
    expect(JSON.stringify(plan)).toContain(`${5 * MiB} bytes`);
  });

  it.each([
    ['3.5.16', 2 * 1.1 * 2040 * MiB, 'steps'],
    ['3.5.16', 2 * 1.1 * 2040 * MiB - MiB, 'refusal'],
    ['3.5.17', 1.1 * 2040 * MiB + MiB, 'steps'],
  ])('R6, R17: of 2040 MiB live on etcd %s, a disk with %i bytes: %s', (version, freeBytes, kind) => {
    const members = ['a', 'b', 'c'].map((name) => member(name, { version }));
    const disks = members.map(({ id }) => ({ memberId: id, path: '/d', freeBytes: Math.ceil(freeBytes) + 1 }));
    const plan = decide(observation({ members, disks }), policy);

    expect(plan.kind).toBe(kind);
    if (plan.kind === 'refusal') expect(plan.reason).toContain('twice the room, for it is at etcd 3.5.16');
  });

  it.each([
    ['3.4.3', false],
    ['3.4.3', true],
    ['weird', true],
    [undefined, true],
    ['3.5.5', false],
  ])('R17: refuses on etcd %s, copies first: %s, and says what mends it', (version, copiesFirst) => {
    const members = [member('a', { version }), member('b', { isLeader: true }), member('c')];
    const plan = decide(observation({ members }), { ...policy, copiesFirst });

    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'refused', rule: 'R17' });
    expect(plan).toMatchObject({ reason: expect.stringMatching(/^a is at .*R17.*Upgrade etcd first/) });
  });

  it('R17: goes on on etcd 3.5.5 where a copy comes first, and where that member is not to be defragmented', () => {
    const harmed = [member('a', { version: '3.5.5' }), member('b'), member('c')];
    const small = [member('a', { version: '3.4.3', dbSize: MiB, dbSizeInUse: MiB }), member('b'), member('c')];

    expect(decide(observation({ members: harmed }), { ...policy, copiesFirst: true }).kind).toBe('steps');
    expect(actions(decide(observation({ members: small }), policy))).not.toContain('defragment a');
  });

  it('R6: a disk that could not be looked at is not guessed', () => {
    const disks = [
      { memberId: 'a', problem: 'its agent is offline' },
      ...['b', 'c'].map((memberId) => ({ memberId, path: '/x', freeBytes: 9000 * MiB })),
    ];
    const plan = decide(observation({ disks }), policy);
    expect(plan).toMatchObject({ rule: 'R6' });
    expect(JSON.stringify(plan)).toContain('its agent is offline');
  });

  it.each([1, 2, 3])('R2: refuses with %i of three voters away, and names them', (away) => {
    const members = observation().members.map((m, i) =>
      i < away ? { ...m, healthy: false, problem: 'connection refused' } : m,
    );
    const plan = decide(observation({ members }), policy);
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'refused', rule: 'R2' });
    expect(JSON.stringify(plan)).toContain('a (https://a:2379) does not answer: connection refused');
  });

  it('R8: refuses where a quota is not known', () => {
    const members = [member('a', { quota: { kind: 'unknown', problem: '404' } }), member('b', { isLeader: true })];
    expect(decide(observation({ members }), policy)).toMatchObject({ kind: 'refusal', outcome: 'refused', rule: 'R8' });
  });

  it('has nothing to do where no alarm is raised, and says who is away', () => {
    const members = [member('a', { healthy: false, problem: 'timeout' }), member('b'), member('c')];
    const plan = decide(observation({ alarms: [], members }), policy);
    expect(plan.kind).toBe('nothing-to-do');
    expect(JSON.stringify(plan)).toContain('a (https://a:2379)');
  });
});

const anyQuota = fc.oneof(
  fc.record({
    kind: fc.constant('limit' as const),
    bytes: fc.integer({ min: 1, max: 8192 * MiB }),
    source: fc.constant('metrics' as const),
  }),
  fc.constant({ kind: 'none' as const }),
  fc.constant({ kind: 'unknown' as const, problem: 'not read' }),
);
const anyMembers = fc
  .array(
    fc.record({
      isLearner: fc.boolean(),
      healthy: fc.boolean(),
      dbSize: fc.option(fc.integer({ min: 0, max: 8192 * MiB }), { nil: undefined }),
      quota: anyQuota,
    }),
    { maxLength: 7 },
  )
  .chain((members) =>
    fc.record({ members: fc.constant(members), leader: fc.integer({ min: -1, max: members.length - 1 }) }),
  )
  .map(({ members, leader }) =>
    members.map((m, i) => member(`m${i}`, { ...m, isLeader: i === leader && !m.isLearner })),
  );
const anyObservation: fc.Arbitrary<Observation> = fc.record({
  clusterId: fc.constant('c'),
  members: anyMembers,
  alarms: fc.array(
    fc.record({
      memberId: fc.constantFrom('m0', 'm1', 'm2', 'gone'),
      type: fc.constantFrom('NOSPACE' as const, 'NOSPACE' as const, 'CORRUPT' as const, 'UNKNOWN' as const),
    }),
    { maxLength: 4 },
  ),
  revision: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
});

/** Checks a property on every plan that has steps, and that such plans do come up. */
function forEveryPlan(check: (steps: Extract<Plan, { kind: 'steps' }>['steps'], seen: Observation) => void): void {
  let plans = 0;
  fc.assert(
    fc.property(anyObservation, (seen) => {
      const plan = decide(seen, policy);
      if (plan.kind !== 'steps') return;
      plans++;
      check(plan.steps, seen);
    }),
    { numRuns: 20_000 },
  );
  expect(plans).toBeGreaterThan(100);
}

describe('decide, where the snapshot may come later', () => {
  const later = { ...policy, copiesFirst: true, order: 'after-first-member' } as const;

  it('R13: copies the first follower behind its turn, and compacts to the revision before the newest', () => {
    const plan = decide(observation(), later);

    expect(actions(plan).slice(0, 4)).toEqual(['compact', 'defragment a', 'copy', 'defragment c']);
    expect(plan).toMatchObject({
      steps: [{ revision: '4710' }, {}, { action: 'copy', memberId: 'a', revision: '4711' }, {}, {}, {}, {}, {}, {}],
    });
  });

  it.each([
    ['there is one member', [member('a', { isLeader: true })]],
    ['only the leader is to be defragmented', [member('a', { dbSize: MiB }), member('b', { isLeader: true })]],
    [
      'a crash in a defragmentation may spoil a voter',
      [member('a', { version: '3.5.5' }), member('b', { isLeader: true })],
    ],
  ])('R13: leaves it where it was, before all, where %s', (_, members) => {
    const plan = decide(observation({ members }), later);

    expect(actions(plan)).not.toContain('copy');
    expect(actions(plan)).toContain('disarm');
    expect(plan.kind === 'steps' && plan.steps[0]).toMatchObject({ action: 'compact', revision: '4711' });
  });
});

describe('decide, for any observation', () => {
  it('R1: no plan changes anything while an alarm other than NOSPACE is raised', () => {
    forEveryPlan((_steps, { alarms }) => {
      expect(alarms.every(({ type }) => type === 'NOSPACE')).toBe(true);
      expect(alarms.length).toBeGreaterThan(0);
    });
  });

  it('R2: no plan defragments while a voter is away, and so never without a quorum', () => {
    forEveryPlan((steps, { members }) => {
      if (!steps.some(({ action }) => action === 'defragment')) return;
      expect(members.filter(({ isLearner }) => !isLearner).every(({ healthy }) => healthy)).toBe(true);
    });
  });

  it('R3: no plan defragments the leader before a follower, without moving its leadership first, or a learner', () => {
    forEveryPlan((steps, { members }) => {
      const voters = members.filter(({ isLearner }) => !isLearner);
      const leader = members.find(({ isLeader }) => isLeader)?.id;
      const order = steps.flatMap((step) => (step.action === 'defragment' ? [step.memberId] : []));
      expect(order.every((id) => voters.some((voter) => voter.id === id))).toBe(true);
      expect(new Set(order).size).toBe(order.length);
      const turn = order.indexOf(leader ?? '');
      if (turn === -1) return;
      expect(turn).toBe(order.length - 1);
      if (voters.length === 1) return;
      const at = steps.findIndex((step) => step.action === 'defragment' && step.memberId === leader);
      expect(steps[at - 1]).toEqual({ action: 'move-leader', fromMemberId: leader });
    });
  });

  it('R4: no plan defragments before a compaction that names every voter', () => {
    forEveryPlan((steps, { members }) => {
      const first = steps.findIndex(({ action }) => action === 'defragment');
      if (first === -1) return;
      const voters = members.filter(({ isLearner }) => !isLearner).map(({ id }) => id);
      expect(steps.slice(0, first)).toContainEqual(expect.objectContaining({ action: 'compact', memberIds: voters }));
    });
  });

  it('R7, R8: every plan disarms after the last defragmentation, with every quota known, and writes and watches after it', () => {
    forEveryPlan((steps, { members }) => {
      expect(steps.slice(-3).map(({ action }) => action)).toEqual(['disarm', 'canary', 'watch']);
      expect(steps.filter(({ action }) => action === 'disarm')).toHaveLength(1);
      expect(members.filter(({ isLearner }) => !isLearner).every(({ quota }) => quota.kind !== 'unknown')).toBe(true);
    });
  });
});
