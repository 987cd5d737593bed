// Writes what a cluster's database has in it besides one kind of report: many kinds and namespaces, history, deleted
// keys, leases, values over a page, encrypted ones, and keys that aren't Kubernetes'.
import { randomBytes } from 'node:crypto';
import type { Etcd3 } from 'etcd3';
import { type Reachable, within, withMember } from './client.ts';
import { reportMaker } from './reports.ts';

const NAMESPACES = ['default', 'kube-system', 'payments'];
const CALL_MS = 30_000;

/** Takes some seconds, and leaves some 5 MB, half of it history. */
export async function writeVariedKeys(plane: Reachable): Promise<void> {
  const [{ endpoint } = { endpoint: '' }] = plane.members;
  await withMember(plane, endpoint, async (client) => {
    const put = (key: string, value: string | Buffer, lease?: string) =>
      client.kv.put({ key: Buffer.from(key), value: Buffer.from(value), ...(lease && { lease }) }, within(CALL_MS));
    const report = reportMaker(12_000);
    const { ID: lease } = await client.leaseClient.leaseGrant({ TTL: 36_000 }, within(CALL_MS));
    for (let round = 0; round < 6; round++) {
      const numbers = Array.from({ length: 40 }, (_, number) => number);
      await Promise.all(
        numbers.map(async (number) => {
          const namespace = NAMESPACES[number % 3] ?? '';
          const { key, value } = report(number, round);
          await put(key, value);
          await put(`/registry/pods/${namespace}/pod-${number}`, `k8s\0${'p'.repeat(900 + number)}`);
          await put(`/registry/leases/kube-node-lease/node-${number}`, 'l'.repeat(300));
          if (round === 0) await put(`/registry/events/${namespace}/event-${number}`, 'e'.repeat(700), lease);
        }),
      );
    }
    // Larger than some pages, and just what fits into one or does not.
    for (const bytes of [0, 3_900, 4_000, 4_096, 8_192, 65_536, 1_000_000]) {
      await put(`/registry/configmaps/default/of-${bytes}`, 'c'.repeat(bytes));
    }
    for (let number = 0; number < 20; number++) {
      await put(
        `/registry/secrets/kube-system/secret-${number}`,
        Buffer.concat([Buffer.from('k8s:enc:aescbc:v1:key1:'), randomBytes(1_000)]),
      );
    }
    await put(`/registry/minions/node-1`, 'n');
    await put(`/registry/services/specs/default/kubernetes`, 's');
    await put(`/registry/services/endpoints/default/kubernetes`, 's');
    await put(`/registry/apiregistration.k8s.io/apiservices/v1.apps`, 'a');
    await put(`/registry/ranges/serviceips`, 'r');
    await put(`/registry/${'long'.repeat(400)}/${'longer'.repeat(500)}`, 'l'.repeat(5_000));
    for (const key of ['compact_rev_key', '/calico/ipam/v2/host', '/calico/one', 'a/b/c', '/', '/registry/', '\xff']) {
      await put(key, '1');
    }
    await changeAtOnce(client);
    for (let number = 0; number < 40; number += 2) {
      await client.kv.deleteRange(
        { key: Buffer.from(`/registry/leases/kube-node-lease/node-${number}`) },
        within(CALL_MS),
      );
    }
    // Deleted and made again, and deleted for good.
    await put(`/registry/leases/kube-node-lease/node-0`, 'again');
    await client.kv.deleteRange({ key: Buffer.from('/calico/one') }, within(CALL_MS));
  });
}

/** Several changes of one revision. */
async function changeAtOnce(client: Etcd3): Promise<void> {
  const success = Array.from({ length: 100 }, (_, number) => ({
    request_put: {
      key: Buffer.from(`/registry/example.com/widgets/default/widget-${number}`),
      value: Buffer.from('w'.repeat(number)),
    },
  }));
  await client.kv.txn({ compare: [], success, failure: [] }, within(CALL_MS));
}
