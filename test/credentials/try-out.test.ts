// New credentials at an API server that has trouble of its own: what it says of them counts.
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { tryOut } from '../../functions/credentials/try-out.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import { startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { temporaryFile } from '../../lab/runs/prune.ts';

it('are taken where the API server lets them list what it cannot decode', async () => {
  await using directory = await temporaryFile('');
  const authority = await createAuthority(`${directory.path}-pki`);
  const { caFile, certFile, keyFile } = await authority.issue({ name: 'pruner', usages: ['client'] });
  await using api = await startStandIn({ clientCaFile: caFile });
  const kubernetes = { server: api.server, credentials: { caFile: api.caFile, certFile, keyFile } };
  const configuration = parseCluster({ name: 'c', etcd: { endpoints: ['http://127.0.0.1:1'] }, kubernetes });
  const [ca, cert, key] = await Promise.all([api.caFile, certFile, keyFile].map((file) => readFile(file, 'utf8')));
  api.fail({ times: 100, effect: { status: 500, reason: 'StorageReadError', message: 'failed to read one or more' } });

  const seen = tryOut('kubernetes', configuration, { ca: ca ?? '', cert: cert ?? '', key: key ?? '' });

  await expect(seen).resolves.toMatch(/let them list vulnerabilityreports.*can't read all of it/);
});
