// One gRPC channel to one etcd member, over which every call is sent at most once, none waits for an answer forever, no other member's
// answer counts, and every change goes over a connection on which the member has just proven who it is (R19).
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import {
  Channel,
  type ChannelCredentials,
  type ChannelOptions,
  type ClientReadableStream,
  connectivityState,
  credentials,
  Metadata,
  type MethodDefinition,
} from '@grpc/grpc-js';
import { Host } from 'etcd3/lib/connection-pool.js';
import type {
  IAlarmRequest,
  IAlarmResponse,
  ICompactionRequest,
  ICompactionResponse,
  IDefragmentResponse,
  IDeleteRangeRequest,
  IDeleteRangeResponse,
  IMemberListRequest,
  IMemberListResponse,
  IMoveLeaderRequest,
  IMoveLeaderResponse,
  IPutRequest,
  IPutResponse,
  IRangeRequest,
  IRangeResponse,
  ISnapshotResponse,
  IStatusResponse,
} from 'etcd3/lib/rpc.js';
import { hostAndPort, isTls } from './endpoint.ts';
import {
  type EtcdCall,
  type EtcdError,
  EtcdTimeoutError,
  EtcdUnreachableError,
  LearnerError,
  WrongMemberError,
} from './errors.ts';
import { type Hold, OpenSockets } from './open-sockets.ts';
import { hexId } from './status.ts';
import { timeoutError, toEtcdError } from './translate.ts';
import type { TlsMaterial } from './types.ts';

/** The calls of etcd's API that are made here: request and response by method. */
interface Calls {
  Range: [IRangeRequest, IRangeResponse];
  Put: [IPutRequest, IPutResponse];
  DeleteRange: [IDeleteRangeRequest, IDeleteRangeResponse];
  Compact: [ICompactionRequest, ICompactionResponse];
  MemberList: [IMemberListRequest, IMemberListResponse];
  Alarm: [IAlarmRequest, IAlarmResponse];
  Status: [Record<string, never>, IStatusResponse];
  Defragment: [Record<string, never>, IDefragmentResponse];
  MoveLeader: [IMoveLeaderRequest, IMoveLeaderResponse];
}
export type Method = keyof Calls;
export type Request<M extends Method> = Calls[M][0];
export type Response<M extends Method> = Calls[M][1];

/** The calls that are answered by a stream of messages. */
interface StreamCalls {
  Snapshot: [Record<string, never>, ISnapshotResponse];
}
type StreamMethod = keyof StreamCalls;

/** Where each call belongs in etcd's API. */
const SERVICE_OF = {
  Range: 'KV',
  Put: 'KV',
  DeleteRange: 'KV',
  Compact: 'KV',
  MemberList: 'Cluster',
  Alarm: 'Maintenance',
  Status: 'Maintenance',
  Defragment: 'Maintenance',
  MoveLeader: 'Maintenance',
  Snapshot: 'Maintenance',
} as const satisfies Record<Method | StreamMethod, 'KV' | 'Cluster' | 'Maintenance'>;

const MiB = 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  // What changes a member is never sent again on anybody's own account (R5).
  'grpc.enable_retries': 0,
  // The sockets are this connection's own, so that closing it can't end another's.
  'grpc.use_local_subchannel_pool': 1,
  // A member has one address; nobody's proxy and no DNS record has a say in how it is reached.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // A restarting member is polled: it should be found soon after it is back.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // etcd closes connections that ping more often than every 5 s; a defragmenting member still answers pings.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // The largest answer asked for is a sample of values of 1.5 MB each.
  'grpc.max_receive_message_length': 64 * MiB,
  // How much a member may send ahead: with HTTP/2's own 64 KiB a snapshot takes twice as long, even on one machine.
  'grpc-node.flow_control_window': 4 * MiB,
};

/** The server's name in TLS where the endpoint is an IP address, which RFC 6066 doesn't allow there (and Node warns about). */
const NAME_FOR_ADDRESSES = 'etcd';

/** How long after a call's deadline this side stops waiting for grpc-js to notice. */
const GRACE_MS = 250;
const GOOD_BYE_MS = 1_000;

/** How often a proof is begun again: the connection broke, led elsewhere, or was not the only one yet. */
const PROOFS = 5;
/** grpc-js closes what it has no use for within milliseconds. */
const PROVE_AGAIN_MS = 50;
const NOTICED_WITHIN_MS = 1_000;

export class MemberConnection implements Disposable {
  readonly endpoint: string;
  #memberId: string | undefined;
  readonly #channel: Channel;
  readonly #host: Host;
  readonly #sockets = new OpenSockets(() => this.#isConnected());
  #closed = false;
  readonly #underWay = new Set<{ cancel(): void }>();

  /** @param memberId hexadecimal: whose answers count. @default whoever answers first */
  constructor(endpoint: string, tls: TlsMaterial | undefined, memberId?: string) {
    this.endpoint = endpoint;
    this.#memberId = memberId;
    const target = hostAndPort(endpoint);
    const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
    const secure = isTls(endpoint) && isIP(host) !== 0;
    const options = { ...CHANNEL_OPTIONS, ...(secure && { 'grpc.ssl_target_name_override': NAME_FOR_ADDRESSES }) };
    const channelCredentials = makeCredentials(endpoint, host, tls);
    this.#channel = this.#sockets.noting(() => new Channel(target, channelCredentials, options));
    // etcd3 knows the messages. Its pool is left out: it retries, breaks circuits and closes channels over a NOSPACE answer.
    this.#host = new Host(target, channelCredentials, { ...options, channelOverride: this.#channel });
  }

  /** Whose answers count; undefined while it has not been told and nobody has answered yet. */
  get memberId(): string | undefined {
    return this.#memberId;
  }

  /** Whether the other end has ever said anything, be it the first bytes of a handshake. */
  get heard(): boolean {
    return this.#sockets.heard;
  }

  /** The IP address that the last connection was made to. */
  get remoteAddress(): string | undefined {
    return this.#sockets.remoteAddress;
  }

  /**
   * Sends one call that changes nothing, once.
   * @param decode makes the response of its bytes, where etcd3's own message lacks something
   * @throws an EtcdError; EtcdTimeoutError when there is no answer within `timeoutMs`; WrongMemberError for another member's
   */
  async call<M extends Method, R extends Response<M> = Response<M>>(
    method: M,
    request: Request<M>,
    timeoutMs: number,
    decode?: (bytes: Buffer, known: Response<M>) => R,
  ): Promise<R> {
    const response = await this.#send(method, request, timeoutMs, decode);
    await this.#compare({ endpoint: this.endpoint, method }, response.header, { done: false });
    return response;
  }

  /**
   * Sends one call that changes something, once, over a connection on which the member has proven directly before who it is (R19).
   * @param proofMs how long the proof may take
   * @throws an EtcdError; of outcome `not-done` where the proof failed or its connection broke before the call was sent
   */
  async change<M extends Method>(
    method: M,
    request: Request<M>,
    timeoutMs: number,
    proofMs: number,
  ): Promise<Response<M>> {
    const call = { endpoint: this.endpoint, method };
    using _held = await this.#prove(call, proofMs);
    const response = await this.#send(method, request, timeoutMs);
    await this.#compare(call, response.header, { done: true });
    return response;
  }

  /**
   * Has the member say who it is over one connection, which is then the only one until the hold ends. What is asked is answered at once
   * whatever the member is at, also while it is being defragmented.
   */
  async #prove(call: EtcdCall, proofMs: number): Promise<Hold> {
    let problem: EtcdError | undefined;
    for (let attempt = 1; attempt <= PROOFS; attempt++) {
      if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, PROVE_AGAIN_MS));
      // Makes the connection, where there is none yet.
      problem = this.#isConnected() ? undefined : await this.#identify(call, proofMs);
      const hold = problem ? undefined : this.#sockets.hold();
      if (hold) problem = await this.#identify(call, proofMs);
      if (hold?.heard && problem === undefined) return hold;
      hold?.[Symbol.dispose]();
      if (problem !== undefined && !isWorthProvingAgain(problem)) throw problem;
    }
    if (problem !== undefined) throw problem;
    const text = `not sent, since there was no single connection to be proven, after ${PROOFS} tries`;
    throw new EtcdUnreachableError(call, 'not-done', text);
  }

  /** @returns why it could not be found out who answers, as an error of `call`: that has not been sent */
  async #identify(call: EtcdCall, proofMs: number): Promise<EtcdError | undefined> {
    try {
      // Linearizable it would wait for a defragmentation, as Status does.
      const { header } = await this.#send('MemberList', { linearizable: false }, proofMs);
      await this.#compare(call, header, { done: false });
      return undefined;
    } catch (error) {
      if (!(error instanceof LearnerError)) return unproven(call, error);
    }
    try {
      const { header } = await this.#send('Status', {}, proofMs);
      await this.#compare(call, header, { done: false });
      return undefined;
    } catch (error) {
      return unproven(call, error);
    }
  }

  /** @throws WrongMemberError */
  async #compare(
    call: EtcdCall,
    header: { readonly member_id: string } | null,
    { done }: { readonly done: boolean },
  ): Promise<void> {
    // 3.4 answers some changes without a header; they have been proven before.
    if (!header) return;
    const found = hexId(header.member_id);
    this.#memberId ??= found;
    const meant = this.#memberId;
    if (found === meant) return;
    await this.#dropConnection();
    throw new WrongMemberError(call, { meant, found, done });
  }

  /** The next call opens a new one, which may lead to whom it should. */
  async #dropConnection(): Promise<void> {
    this.#sockets.close();
    if (!this.#isConnected()) return;
    // Until grpc-js has noticed, it would send the next call over what is gone.
    const noticed = Promise.withResolvers<void>();
    this.#channel.watchConnectivityState(connectivityState.READY, Date.now() + NOTICED_WITHIN_MS, () =>
      noticed.resolve(),
    );
    await noticed.promise;
  }

  async #send<M extends Method, R extends Response<M> = Response<M>>(
    method: M,
    request: Request<M>,
    timeoutMs: number,
    decode?: (bytes: Buffer, known: Response<M>) => R,
  ): Promise<R> {
    const call = { endpoint: this.endpoint, method };
    if (this.#closed) throw new EtcdUnreachableError(call, 'not-done', 'this connection has been closed');
    const startedMs = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const client = this.#host.getServiceClient(SERVICE_OF[method]);
    const definition = methodDefinition<Request<M>, Response<M>>(client, method);
    const deserialize = (bytes: Buffer): R => {
      const known = definition.responseDeserialize(bytes);
      return decode ? decode(bytes, known) : (known as R);
    };
    const sent = this.#sockets.noting(() =>
      client.makeUnaryRequest<Request<M>, R>(
        definition.path,
        definition.requestSerialize,
        deserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error) reject(toEtcdError(error, call, { timeoutMs, elapsedMs: performance.now() - startedMs }));
          else if (response === undefined) reject(toEtcdError(new Error('an empty answer'), call));
          else resolve(response);
        },
      ),
    );
    const timer = setTimeout(() => {
      reject(timeoutError(call, 'unknown', timeoutMs));
      sent.cancel();
    }, timeoutMs + GRACE_MS);
    this.#underWay.add(sent);
    try {
      return await promise;
    } finally {
      this.#underWay.delete(sent);
      clearTimeout(timer);
    }
  }

  /**
   * Sends one call, once, over a connection on which the member has proven who it is, and hands out the messages of its answer in
   * order. The member sends on only as fast as they are taken; whoever stops taking them ends the call.
   * @param silenceMs how long the next message may take; the time that the caller takes over one does not count
   * @param proofMs how long the proof may take
   * @throws an EtcdError; EtcdTimeoutError when no message comes within `silenceMs`
   */
  async *stream<M extends StreamMethod>(
    method: M,
    request: StreamCalls[M][0],
    silenceMs: number,
    proofMs: number,
  ): AsyncGenerator<StreamCalls[M][1], void, void> {
    const call = { endpoint: this.endpoint, method };
    using _held = await this.#prove(call, proofMs);
    const client = this.#host.getServiceClient(SERVICE_OF[method]);
    const definition = methodDefinition<StreamCalls[M][0], StreamCalls[M][1]>(client, method);
    const sent: ClientReadableStream<StreamCalls[M][1]> = this.#sockets.noting(() =>
      client.makeServerStreamRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        new Metadata(),
        {},
      ),
    );
    const iterator: AsyncIterator<StreamCalls[M][1]> = sent[Symbol.asyncIterator]();
    let messages = 0;
    let silent = false;
    const next = async () => {
      const timer = setTimeout(() => {
        silent = true;
        sent.cancel();
      }, silenceMs);
      try {
        return await iterator.next();
      } finally {
        clearTimeout(timer);
      }
    };
    this.#underWay.add(sent);
    try {
      for (let message = await next(); !message.done; message = await next()) {
        messages++;
        yield message.value;
      }
    } catch (error) {
      if (!silent) throw toEtcdError(error, call);
      const text = `the member stayed silent for ${silenceMs} ms after message ${messages} of its answer`;
      throw new EtcdTimeoutError(call, 'not-done', text);
    } finally {
      this.#underWay.delete(sent);
      // Means nothing to a call that has ended; one that hasn't has nobody left to tell its error to.
      sent.on('error', () => {});
      sent.cancel();
    }
  }

  /** Ends the connection; calls under way end with an error. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const sent of this.#underWay) sent.cancel();
    const wasConnected = this.#isConnected();
    // Without the host's own close(), which tries to connect once more and waits a second for it.
    this.#channel.close();
    // A connection that was made says good-bye first.
    if (wasConnected) setTimeout(() => this.#sockets.close(), GOOD_BYE_MS).unref();
    else this.#sockets.close();
  }

  #isConnected(): boolean {
    return this.#channel.getConnectivityState(false) === connectivityState.READY;
  }
}

/** Nothing has been sent but the question who it is. */
function isWorthProvingAgain(problem: EtcdError): boolean {
  return problem instanceof WrongMemberError || problem instanceof EtcdUnreachableError;
}

/** What went wrong with the proof is why the call was not sent. */
function unproven(call: EtcdCall, error: unknown): EtcdError {
  if (error instanceof WrongMemberError) return error;
  const text = `not sent, since who answers there could not be found out: ${toEtcdError(error, call).text}`;
  const type = error instanceof EtcdTimeoutError ? EtcdTimeoutError : EtcdUnreachableError;
  return new type(call, 'not-done', text);
}

function makeCredentials(endpoint: string, host: string, tls: TlsMaterial | undefined): ChannelCredentials {
  if (!isTls(endpoint)) return credentials.createInsecure();
  const pem = tls && { ca: Buffer.from(tls.ca), cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) };
  // Checked against the endpoint's own address, whatever name was sent.
  return credentials.createSsl(pem?.ca, pem?.key, pem?.cert, {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
}

/** How etcd3 writes and reads one method's messages. It has them on the constructor of its generated clients. */
function methodDefinition<Req, Res>(client: object, method: string): MethodDefinition<Req, Res> {
  const service: unknown = Reflect.get(client.constructor, 'service');
  const definition: unknown =
    typeof service === 'object' && service !== null ? Reflect.get(service, method) : undefined;
  if (typeof definition !== 'object' || definition === null || !('responseDeserialize' in definition)) {
    throw new TypeError(`etcd3 does not know the method ${method}`);
  }
  return definition as MethodDefinition<Req, Res>;
}
