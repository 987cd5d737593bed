// What tests of runs with issued certificates need: the rights that docs/rbac.yaml binds to their subject, an API
// server that takes them, and a look at which certificate a connection was really made with.
import { X509Certificate } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import {
  type CheckpointDurableExecutionRequest,
  DurableExecutionInvocationInputWithClient,
  type DurableLambdaHandler,
} from '@aws/durable-execution-sdk-js';
import { loadAllYaml, type V1ClusterRole, type V1ClusterRoleBinding } from '@kubernetes/client-node';
import { SUBJECTS, type Subject } from '../../functions/contract/purposes.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import type { Rule, TestApiServer } from '../../lab/kubernetes/api-server.ts';
import type { ServerKind } from '../../lab/kubernetes/servers.ts';
import { makeAuthority, type TestAuthority } from './authorities.ts';
import type { Files } from './setting.ts';

export interface TrustingServer extends AsyncDisposable {
  readonly api: TestApiServer;
  /** Of the server's clients. */
  readonly authority: TestAuthority;
  /** As they lie on a node: that of the clients, and the other one, which the server's own certificate is by. */
  readonly files: Files;
}

/**
 * An API server that takes client certificates of an authority of its own.
 * @param plane the real one keeps its objects in it
 */
export async function startTrusting({ start }: ServerKind, plane: ControlPlane): Promise<TrustingServer> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-clients-'));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const authority = await makeAuthority();
  const clientCaFile = join(folder, 'clients.crt');
  await writeFile(clientCaFile, authority.certificate);
  const { commonName } = SUBJECTS.kubernetes;
  const others = { [commonName]: await rulesBoundTo(SUBJECTS.kubernetes) };
  const api = started.use(await start({ clientCaFile, others, plane }));
  const serverCertificate = await readFile(api.caFile, 'utf8');
  const running = started.move();
  return {
    api,
    authority,
    files: { certificate: authority.certificate, key: authority.key, serverCertificate },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/**
 * What docs/rbac.yaml allows whoever comes with a certificate for this subject, by the user in its common name and by
 * the group in its organisation. The test servers know users only, so that this is worked out here.
 */
export async function rulesBoundTo({ commonName, organization }: Subject): Promise<readonly Rule[]> {
  const text = await readFile(new URL('../../docs/rbac.yaml', import.meta.url), 'utf8');
  const documents: readonly unknown[] = loadAllYaml(text);
  const bindings = documents.filter((each): each is V1ClusterRoleBinding => isKind(each, 'ClusterRoleBinding'));
  const roles = documents.filter((each): each is V1ClusterRole => isKind(each, 'ClusterRole'));
  const bound = bindings.filter(({ subjects = [] }) =>
    subjects.some(
      ({ kind, name }) => (kind === 'Group' && name === organization) || (kind === 'User' && name === commonName),
    ),
  );
  return bound.flatMap(({ roleRef }) => {
    const role = roles.find(({ metadata }) => metadata?.name === roleRef.name);
    return (role?.rules ?? []).map(({ apiGroups = [], resources = [], verbs }) => ({ apiGroups, resources, verbs }));
  });
}

function isKind(document: unknown, kind: string): boolean {
  return typeof document === 'object' && document !== null && Reflect.get(document, 'kind') === kind;
}

export interface Presented extends Disposable {
  /**
   * Serial numbers of the client certificates that connections to API servers were made with since the last call, each
   * once.
   */
  take(): readonly string[];
}

/** From now on. What comes with a token or with nothing does not count. */
export function watchCertificates(): Presented {
  const serials = new Set<string>();
  const note = (message: unknown) => {
    const socket: unknown =
      typeof message === 'object' && message !== null ? Reflect.get(message, 'socket') : undefined;
    const certificate: unknown = socket instanceof TLSSocket ? socket.getCertificate() : undefined;
    if (typeof certificate === 'object' && certificate !== null && 'serialNumber' in certificate) {
      serials.add(String(certificate.serialNumber));
    }
  };
  const channel = 'undici:client:connected';
  subscribe(channel, note);
  return {
    take: () => {
      const taken = [...serials];
      serials.clear();
      return taken;
    },
    [Symbol.dispose]: () => void unsubscribe(channel, note),
  };
}

export function serialOf(credentials: { readonly cert: string } | undefined): string {
  return new X509Certificate(credentials?.cert ?? '').serialNumber;
}

type Updates = NonNullable<CheckpointDurableExecutionRequest['Updates']>;

/**
 * Holds every checkpoint of a run up until `before` is through: what happens in it happens between two of the run's
 * steps.
 */
export function heldUp(
  handler: DurableLambdaHandler,
  before: (updates: Updates) => Promise<void>,
): DurableLambdaHandler {
  return (event, context) => {
    if (!DurableExecutionInvocationInputWithClient.isInstance(event)) throw new TypeError('not a run of runLocally');
    const { durableExecutionClient: client } = event;
    const slow = new DurableExecutionInvocationInputWithClient(event, {
      getExecutionState: (request) => client.getExecutionState(request),
      checkpoint: async (request) => {
        await before(request.Updates ?? []);
        return client.checkpoint(request);
      },
    });
    return handler(slow, context);
  };
}

/** One of them is this step's end. */
export function ends(updates: Updates, name: string): boolean {
  return updates.some(({ Name, Action }) => Name === name && Action === 'SUCCEED');
}
