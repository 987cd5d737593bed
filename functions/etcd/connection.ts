// One gRPC channel to one etcd member, over which every call is sent at most once, none waits for an answer forever, no
// other member's answer counts, and every change goes over a connection on which the member has just proven who it is
// (R19).
import { type Channel, type ClientReadableStream, connectivityState, Metadata } from '@grpc/grpc-js';
import type { Host } from 'etcd3/lib/connection-pool.js';
import type { TlsMaterial } from '../contract/tls-material.ts';
import {
  type Method,
  methodDefinition,
  type Request,
  type Response,
  SERVICE_OF,
  type StreamCalls,
  type StreamMethod,
} from './calls.ts';
import { openChannel } from './channel.ts';
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
    ({ channel: this.#channel, host: this.#host } = this.#sockets.noting(() => openChannel(endpoint, tls)));
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
   * @throws an EtcdError; EtcdTimeoutError when there is no answer within `timeoutMs`; WrongMemberError for another
   *   member's
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
   * Sends one call that changes something, once, over a connection on which the member has proven directly before who
   * it is (R19).
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
   * Has the member say who it is over one connection, which is then the only one until the hold ends. What is asked is
   * answered at once whatever the member is at, also while it is being defragmented.
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
   * Sends one call, once, over a connection on which the member has proven who it is, and hands out the messages of its
   * answer in order. The member sends on only as fast as they are taken; whoever stops taking them ends the call.
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
