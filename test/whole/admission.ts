// An admission webhook on this machine that refuses what it is told to, over TLS, as one of a cluster's would.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Resource } from '../../functions/kubernetes/types.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import type { WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';
import { until } from './workloads.ts';

const NAME = 'guards-reports';

/** Asked before each delete of a kind in `default`, and none is done without its answer, until it is disposed. */
export async function guardDeletes(
  api: WholeApiServer,
  { group, version, plural }: Resource,
  refuses: (name: string) => boolean,
): Promise<{ stop(): Promise<void> } & AsyncDisposable> {
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-webhook-'));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const { caFile, certFile, keyFile } = await (await createAuthority(directory)).issue({ name: 'webhook' });
  let asked = 0;
  const server = createServer(
    { cert: readFileSync(certFile), key: readFileSync(keyFile) },
    async (incoming, outgoing) => {
      const { request } = JSON.parse(await text(incoming));
      asked++;
      const allowed = !refuses(request.name);
      const status = allowed ? {} : { status: { code: 403, message: 'reports are evidence here' } };
      const body = {
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid: request.uid, allowed, ...status },
      };
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  made.defer(stop);
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const rules = [{ operations: ['DELETE'], apiGroups: [group], apiVersions: [version], resources: [plural] }];
  await api.apply({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: NAME },
    ...{
      webhooks: [
        {
          name: 'reports.example.com',
          clientConfig: { url, caBundle: readFileSync(caFile).toString('base64') },
          ...{ rules, failurePolicy: 'Fail', sideEffects: 'None', admissionReviewVersions: ['v1'], timeoutSeconds: 5 },
        },
      ],
    },
  });
  made.defer(async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    await api.ask('DELETE', `${path}/${NAME}`, [404]);
  });
  await until('the webhook is asked', async () => {
    await api.create({ group, version, plural }, [{ name: 'probe' }]);
    await api.ask('DELETE', `/apis/${group}/${version}/namespaces/default/${plural}/probe`, [403, 404, 500]);
    return asked > 0;
  });
  const kept = made.move();
  return { stop, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
