// What an API server lets be deleted while its etcd is in NOSPACE: only what needs no write before it.
import { expect, it } from 'vitest';
import { openKubernetes } from '../../functions/kubernetes/client.ts';
import { ApiUnavailableError } from '../../functions/kubernetes/errors.ts';
import { raiseNospace } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';

const REPORT = kindNamed('VulnerabilityReport');

it.runIf(whyNoRealApiServer() === undefined)('reports go under NOSPACE, and not with a finalizer', async () => {
  await using cleanUp = new AsyncDisposableStack();
  const plane = cleanUp.use(await startControlPlane({ members: 1 }));
  const api = cleanUp.use(await startRealApiServer({ plane }));
  await api.create(REPORT, [{ name: 'plain' }, { name: 'with-finalizer', finalizers: ['example.com/archive'] }]);
  const [plain, guarded] = await api.list(REPORT);
  if (!plain || !guarded) throw new Error('nothing was created');
  const [member] = plane.members;
  if (!member) throw new RangeError('a plane without members');
  await raiseNospace(plane, member.id);

  await using client = openKubernetes({ server: api.server, credentials: api.credentials(), patienceMs: 100 });

  expect(await client.delete(REPORT, plain)).toBe('deleted');
  const refused = await client.delete(REPORT, guarded).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ApiUnavailableError);
  expect(String(refused)).toContain('database space exceeded');
  expect((await api.list(REPORT)).map(({ name }) => name)).toEqual(['with-finalizer']);
});
