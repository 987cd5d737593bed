// The sockets that grpc-js opens for one connection, so that an attempt to connect that gets no answer has an end.
//
// grpc-js sets no limit to an attempt and has no way to give one up: towards an endpoint that accepts and keeps silent it waits
// forever, closed or not, and its socket keeps the process alive. So the sockets are noted here as Node opens them.
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';

/** An answer in the same region takes milliseconds; a starved member may take seconds. Below the default deadlines. */
export const CONNECT_TIMEOUT_MS = 4_000;

/** What grpc-js reports as the reason for having no connection. */
export const GIVEN_UP = `no answer to an attempt to connect within ${CONNECT_TIMEOUT_MS} ms`;

const openedFor = new AsyncLocalStorage<OpenSockets>();

export class OpenSockets {
  readonly #isConnected: () => boolean;
  readonly #sockets = new Set<Socket>();

  /** @param isConnected whether the attempt has led to a connection, all handshakes included */
  constructor(isConnected: () => boolean) {
    this.#isConnected = isConnected;
  }

  /** Runs `work`; sockets that are opened by it, now or later, are noted here. */
  noting<Result>(work: () => Result): Result {
    return openedFor.run(this, work);
  }

  note(socket: Socket): void {
    const timer = setTimeout(() => {
      if (!this.#isConnected()) end(socket);
    }, CONNECT_TIMEOUT_MS).unref();
    this.#sockets.add(socket);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
  }

  /** Ends all that are open. */
  close(): void {
    for (const socket of this.#sockets) end(socket);
  }
}

/** With an error: grpc-js would not notice an end without one. */
function end(socket: Socket): void {
  socket.destroy(new Error(GIVEN_UP));
}

subscribe('net.client.socket', (message) => {
  const sockets = openedFor.getStore();
  if (!sockets || typeof message !== 'object' || message === null || !('socket' in message)) return;
  if (message.socket instanceof Socket) sockets.note(message.socket);
});
