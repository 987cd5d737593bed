import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { describeError } from '../../functions/contract/errors.ts';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { CredentialsRefusedError, CredentialsUntestedError } from '../../functions/credentials/errors.ts';
import { tryEtcd } from '../../functions/credentials/try-etcd.ts';
import { createAuthority, openAuthority } from '../../lab/control-plane/certificates.ts';
import { decimalId, hexId, within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { joinAsLearner } from '../../lab/control-plane/learner.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf, readMaterial, rejection } from '../etcd/material.ts';

const CALL_MS = 5_000;

let plane: ControlPlane;
/** The plane's own, which its members take. */
let good: TlsMaterial;

beforeAll(async () => {
  plane = await startControlPlane();
  const material = await materialOf(plane);
  if (material === undefined) throw new TypeError('a plane without TLS');
  good = material;
});
afterAll(() => plane?.[Symbol.asyncDispose]());

const trying = (tls = good) => tryEtcd(plane.configuration(), tls);

/** Members read their certificate anew for each connection. */
const certify = async (name: string, expired: boolean) =>
  (await openAuthority(join(plane.directory, 'pki'))).issue({ name: `${name}-server`, expired });

/** A client certificate, and the authorities to verify servers by, each of the plane's authority or of a stranger. */
async function materialBy(certificate: 'plane' | 'stranger', servers: 'plane' | 'stranger', expired = false) {
  const own = await openAuthority(join(plane.directory, 'pki'));
  const stranger = await createAuthority(join(plane.directory, 'stranger'));
  const files = await { plane: own, stranger }[certificate].issue({ name: 'tried', usages: ['client'], expired });
  const { caFile } = { plane: own, stranger }[servers];
  return readMaterial({ ...files, caFile });
}

describe('a new client certificate for etcd', () => {
  it('is good where all members take it', async () => {
    expect(await trying()).toBe('3 of 3 members took them, 3 of those with a linearizable read');
  });

  it('is good where one member is down: that one is named', async () => {
    await plane.stopMember('cp-2');
    try {
      expect(await trying()).toMatch(/^2 of 3 members took them, .*; not asked: member cp-2: .*ECONNREFUSED/);
    } finally {
      plane.startMember('cp-2');
      await plane.ready();
    }
  });

  it.each<[string, () => Promise<TlsMaterial>, RegExp]>([
    ['another authority has signed it', () => materialBy('stranger', 'plane'), /the server refused the client certif/],
    ['it comes with authorities of other servers', () => materialBy('plane', 'stranger'), /not signed by the given CA/],
    [
      'it has expired',
      () => materialBy('plane', 'plane', true),
      /cert: found the certificate of CN=tried, which expired/,
    ],
  ])('is refused where %s', async (_what, material, message) => {
    const error = await rejection(trying(await material()));

    expect(error).toBeInstanceOf(CredentialsRefusedError);
    expect(describeError(error)).toMatch(message);
  });

  describe('where the members’ own certificates have expired', () => {
    afterEach(async () => {
      for (const { name } of plane.members) await certify(name, false);
    });

    it('is good as long as one member takes it, and the other is named', async () => {
      await certify('cp-2', true);

      expect(await trying()).toMatch(
        /^2 of 3 members took them, 2 of those .*; not asked: member cp-2: .*the server's own certificate has expired/,
      );
    });

    it('could not be tried where none is left to ask', async () => {
      for (const { name } of plane.members) await certify(name, true);

      const error = await rejection(trying());

      expect(error).toBeInstanceOf(CredentialsUntestedError);
      expect(describeError(error)).toContain("the server's own certificate has expired");
    });

    it('is refused all the same where a member that can be asked refuses it', async () => {
      await certify('cp-2', true);

      await expect(trying(await materialBy('stranger', 'plane'))).rejects.toThrow(CredentialsRefusedError);
    });
  });

  // Of the two only the older tells everybody its Status; both tell everybody who they are, and it is the first read
  // that shows the rights.
  it.each(['3.5.30', '3.4.23'])(
    'is refused where etcd’s own authorization gives its user nothing, by an etcd %s',
    async (version) => {
      await using guarded = await startControlPlane({ version, members: 1 });
      const authority = await openAuthority(join(guarded.directory, 'pki'));
      const [unknown, powerless] = await Promise.all(
        ['nobody', 'somebody'].map(async (name) => readMaterial(await authority.issue({ name, usages: ['client'] }))),
      );
      for (const args of [
        'user add root:password',
        'user grant-role root root',
        'user add somebody:password',
        'auth enable',
      ]) {
        await guarded.etcdctl(args.split(' '));
      }

      const errors = [];
      for (const tls of [unknown, powerless])
        errors.push(await rejection(tryEtcd(guarded.configuration(), tls ?? good)));

      expect(errors).toEqual([expect.any(CredentialsRefusedError), expect.any(CredentialsRefusedError)]);
      const denial = "etcd's authorization refused it (etcdserver: permission denied)";
      expect(errors.map(describeError)).toEqual([expect.stringContaining(denial), expect.stringContaining(denial)]);
    },
  );

  // Last: etcd takes a new member only once its members have known each other for 5 s.
  it('is good where a member was added and never started: that one is named', async () => {
    const [endpoint = ''] = plane.endpoints;
    await joinAsLearner(plane.credentials, endpoint, 'https://127.0.0.1:1');
    const added = await withMember(plane, endpoint, async ({ cluster }) => {
      const { members } = await cluster.memberList({}, within(CALL_MS));
      return hexId(members.find(({ clientURLs }) => clientURLs.length === 0)?.ID ?? '0');
    });
    try {
      expect(await trying()).toBe(
        '3 of 4 members took them, 3 of those with a linearizable read; ' +
          `not asked: member ${added}: it was added to the cluster and has never been started, so it has no name and no client URL. ` +
          `Start it, or take it out again: etcdctl member remove ${added}`,
      );
    } finally {
      await withMember(plane, endpoint, ({ cluster }) =>
        cluster.memberRemove({ ID: decimalId(added) }, within(CALL_MS)),
      );
    }
  });
});
