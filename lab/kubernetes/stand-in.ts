// A small stand-in for a Kubernetes API server: over TLS, with RBAC, in memory. What it answers is what the real one
// answers, as the contract tests hold against both; what a real one can't be made to do on demand, its faults do.
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { KubernetesCredentials } from '../../functions/kubernetes/credentials.ts';
import type { ListedObject, Resource } from '../../functions/kubernetes/types.ts';
import { createAuthority } from '../control-plane/certificates.ts';
import { freePorts } from '../control-plane/ports.ts';
import { onProcessEnd } from '../control-plane/process-end.ts';
import type { ApiServerOptions, Place, StoredObject, TestApiServer, User } from './api-server.ts';
import { type Fault, Faults, type FaultyAnswer, type RecordedRequest } from './faults.ts';
import type { NewObject } from './objects.ts';
import { respond } from './stand-in-api.ts';
import { Store } from './stand-in-store.ts';
import { failure, type Reply, TOO_MANY, UNAUTHORIZED } from './statuses.ts';
import { type Asked, allows, configurationOf, credentialsOf, rulesByUser, userOf, writeTokenFiles } from './users.ts';

/** What the real one does with answers that are larger. */
const GZIP_FROM_BYTES = 128 * 1024;
/** A change takes so long where changes at the same time are counted; without, none would ever meet another. */
const CHANGE_MS = 5;

const zip = promisify(gzip);

export async function startStandIn(options: ApiServerOptions = {}): Promise<StandInApiServer> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-kubernetes-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const forget = onProcessEnd(remove);
  const authority = await createAuthority(directory);
  const { caFile, certFile, keyFile } = await authority.issue({ name: 'apiserver', usages: ['server'] });
  writeTokenFiles(directory, rulesByUser(options).keys());
  const [port = 0] = await freePorts(1);
  const clientCa = options.clientCaFile === undefined ? {} : { ca: await readFile(options.clientCaFile) };
  const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile), ...clientCa };
  const standIn = new StandInApiServer(options, { directory, caFile, port, tls }, () => {
    forget();
    remove();
  });
  await standIn.restart();
  return standIn;
}

interface Setting {
  readonly directory: string;
  readonly caFile: string;
  readonly port: number;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer };
}

export class StandInApiServer implements TestApiServer {
  readonly server: string;
  readonly caFile: string;
  /** Every request, in order. */
  readonly requests: RecordedRequest[] = [];
  readonly faults = new Faults();
  /** The server's own clock. */
  now: () => Date = () => new Date();
  /** How many connections were made so far. */
  connections = 0;
  readonly #options: ApiServerOptions;
  readonly #users: ReturnType<typeof rulesByUser>;
  readonly #setting: Setting;
  readonly #store = new Store();
  readonly #sockets = new Set<Duplex>();
  readonly #cleanUp: () => void;
  #changesUnderWay = 0;
  #https: Server | undefined;

  constructor(options: ApiServerOptions, setting: Setting, cleanUp: () => void) {
    this.#options = options;
    this.#users = rulesByUser(options);
    this.#setting = setting;
    this.#cleanUp = cleanUp;
    this.server = `https://127.0.0.1:${setting.port}`;
    this.caFile = setting.caFile;
  }

  /** Lets something go wrong, once or as often as it says. */
  fail(fault: Fault): void {
    this.faults.add(fault);
  }

  credentials(user: User = 'pruner'): KubernetesCredentials {
    return credentialsOf(this.caFile, user);
  }

  configuration(user: User = 'pruner') {
    return configurationOf(this.server, this.caFile, this.#setting.directory, user);
  }

  async create(resource: Resource, objects: Iterable<NewObject>): Promise<void> {
    for (const object of objects) this.#store.put(resource, object);
  }

  async rewrite(resource: Resource, place: Place): Promise<void> {
    this.#store.rewrite(resource, place);
  }

  async addFinalizer(resource: Resource, place: Place, finalizer: string): Promise<void> {
    const finalizers = this.#store.get(resource, place)?.metadata.finalizers ?? [];
    this.#store.rewrite(resource, place, { finalizers: [...finalizers, finalizer] });
  }

  async spoil(resource: Resource, place: Place): Promise<void> {
    this.#store.spoil(resource, place);
  }

  async remove(resource: Resource, place: Place): Promise<void> {
    this.#store.remove(resource, place);
  }

  async get(resource: Resource, place: Place): Promise<StoredObject | undefined> {
    return this.#store.get(resource, place);
  }

  async list(resource: Resource): Promise<readonly ListedObject[]> {
    return this.#store
      .all(resource)
      .map(({ metadata: { namespace, name, uid, resourceVersion } }) => ({ namespace, name, uid, resourceVersion }));
  }

  async expireContinueTokens(): Promise<void> {
    this.#store.expire();
  }

  async kill(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#https) return;
    this.#https.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    this.#https = undefined;
    await promise;
  }

  async restart(): Promise<void> {
    await this.kill();
    const https = createServer(
      { ...this.#setting.tls, requestCert: this.#options.clientCaFile !== undefined, rejectUnauthorized: false },
      (incoming, outgoing) => void this.#serve(incoming, outgoing),
    );
    https.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    https.listen(this.#setting.port, '127.0.0.1');
    await once(https, 'listening');
    this.#https = https;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#cleanUp();
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    // A client that goes away while it is still sending has nobody to answer to.
    incoming.on('error', () => outgoing.destroy());
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return;
    }
    const { authorization, ...headers } = incoming.headers;
    const { method = 'GET', url: path = '/' } = incoming;
    const request = { method, path, headers, body: Buffer.concat(chunks).toString() };
    this.requests.push(request);
    const effect = this.faults.next(request);
    if (effect === 'hang') return;
    if (effect === 'reset') return void incoming.socket.destroy();
    const reply =
      typeof effect === 'object' ? faulty(effect) : await this.#reply(request, this.#user(incoming, authorization));
    if (effect === 'done-then-hang') return;
    if (effect === 'done-then-reset') return void incoming.socket.destroy();
    await this.#answer(outgoing, reply, `${headers['accept-encoding'] ?? ''}`.includes('gzip'));
  }

  async #reply(request: RecordedRequest, user: string | undefined): Promise<Reply> {
    const { maxMutatingInFlight } = this.#options;
    const counts = request.method !== 'GET' && maxMutatingInFlight !== undefined;
    if (counts && this.#changesUnderWay >= maxMutatingInFlight) return TOO_MANY;
    if (user === undefined) return UNAUTHORIZED;
    this.#changesUnderWay += counts ? 1 : 0;
    try {
      if (counts) await wait(CHANGE_MS);
      const rules = this.#users.get(user) ?? (user === 'admin' ? undefined : []);
      const { unsafeDeletion = false } = this.#options;
      const may = (asked: Asked) => allows(rules, asked);
      return respond(this.#store, request, { user, now: this.now(), may, unsafeDeletion });
    } finally {
      this.#changesUnderWay -= counts ? 1 : 0;
    }
  }

  #user(incoming: IncomingMessage, authorization: string | undefined): string | undefined {
    const token = /^Bearer (.*)$/.exec(authorization ?? '')?.[1];
    if (token !== undefined) return userOf(token, this.#users);
    if (!(incoming.socket instanceof TLSSocket) || !incoming.socket.authorized) return undefined;
    const { CN } = incoming.socket.getPeerCertificate().subject;
    return Array.isArray(CN) ? CN[0] : CN;
  }

  async #answer(outgoing: ServerResponse, { status, headers, body }: Reply, mayZip: boolean): Promise<void> {
    const text = Buffer.from(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
    const zipped = mayZip && text.length > GZIP_FROM_BYTES;
    const bytes = zipped ? await zip(text, { level: 1 }) : text;
    outgoing.writeHead(status, {
      'content-type': 'application/json',
      date: this.now().toUTCString(),
      ...(zipped && { 'content-encoding': 'gzip' }),
      'content-length': bytes.length,
      ...headers,
    });
    outgoing.end(bytes);
  }
}

function faulty({ status, message = 'on demand', reason, headers, details, text }: FaultyAnswer): Reply {
  if (text !== undefined) return { status, headers: { 'content-type': 'text/plain', ...headers }, body: text };
  return failure(status, { message, reason, headers, details });
}
