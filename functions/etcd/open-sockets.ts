// The sockets that grpc-js opens for one connection, so that an attempt to connect that gets no answer has an end, and
// that what is sent can be held to the one socket on which the member has proven who it is (R19).
//
// grpc-js sets no limit to an attempt and has no way to give one up: towards an endpoint that accepts and keeps silent
// it waits forever, closed or not, and its socket keeps the process alive. So the sockets are noted here as Node opens
// them.
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';

/** An answer in the same region takes milliseconds; a starved member may take seconds. Below the default deadlines. */
export const CONNECT_TIMEOUT_MS = 4_000;

/** What grpc-js reports as the reason for having no connection. */
export const GIVEN_UP = `no answer to an attempt to connect within ${CONNECT_TIMEOUT_MS} ms`;
export const HELD = 'no other connection than the one on which the member has said who it is';
const CLOSED = 'the connection was closed on this side';

const openedFor = new AsyncLocalStorage<OpenSockets>();

/** One connection that is the only one until it is let go. */
export interface Hold extends Disposable {
  /** Whether anything has come over it since it was held. */
  readonly heard: boolean;
}

export class OpenSockets {
  readonly #isConnected: () => boolean;
  readonly #sockets = new Set<Socket>();
  #holds = 0;
  #heard = false;
  #remoteAddress: string | undefined;

  /** @param isConnected whether the attempt has led to a connection, all handshakes included */
  constructor(isConnected: () => boolean) {
    this.#isConnected = isConnected;
  }

  /** Runs `work`; sockets that are opened by it, now or later, are noted here. */
  noting<Result>(work: () => Result): Result {
    return openedFor.run(this, work);
  }

  /** Whether the other end has ever said anything, be it the first bytes of a handshake. */
  get heard(): boolean {
    return this.#heard || [...this.#sockets].some(({ bytesRead }) => bytesRead > 0);
  }

  /** The IP address that the last connection was made to. */
  get remoteAddress(): string | undefined {
    return this.#remoteAddress;
  }

  /**
   * From now on, until the hold ends, no further socket stays open: what is sent goes over the one that is there, or
   * nowhere.
   * @returns undefined where there isn't exactly one
   */
  hold(): Hold | undefined {
    const [socket, ...others] = this.#sockets;
    if (socket === undefined || socket.destroyed || others.length > 0) return undefined;
    const bytesBefore = socket.bytesRead;
    this.#holds++;
    return {
      get heard() {
        return socket.bytesRead > bytesBefore;
      },
      [Symbol.dispose]: () => {
        this.#holds--;
      },
    };
  }

  note(socket: Socket): void {
    if (this.#holds > 0) {
      // Not at once: Node is still about to connect it, and would open what has been destroyed before.
      queueMicrotask(() => end(socket, HELD));
      socket.on('error', () => {});
      return;
    }
    const timer = setTimeout(() => {
      if (!this.#isConnected()) end(socket, GIVEN_UP);
    }, CONNECT_TIMEOUT_MS).unref();
    this.#sockets.add(socket);
    socket.once('connect', () => {
      this.#remoteAddress = socket.remoteAddress;
    });
    socket.once('close', () => {
      clearTimeout(timer);
      this.#heard ||= socket.bytesRead > 0;
      this.#sockets.delete(socket);
    });
  }

  /** Ends all that are open. */
  close(): void {
    for (const socket of this.#sockets) end(socket, CLOSED);
  }
}

/** With an error: grpc-js would not notice an end without one. */
function end(socket: Socket, why: string): void {
  socket.destroy(new Error(why));
}

subscribe('net.client.socket', (message) => {
  const sockets = openedFor.getStore();
  if (!sockets || typeof message !== 'object' || message === null || !('socket' in message)) return;
  if (message.socket instanceof Socket) sockets.note(message.socket);
});
