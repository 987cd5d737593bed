// A TCP proxy before one port of a member, whose connections can be made silent, or broken off, and set free again.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { PortTakenError } from './readiness.ts';

/**
 * `hangs`: nothing goes through, and nobody is told, as where packets are dropped. `refused`: broken off, and no new
 * ones.
 */
export type Blockage = 'hangs' | 'refused';

export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
}

export class ProxyConnection {
  /** The port that its other end connects from. */
  readonly localPort: number;
  readonly #near: Socket;
  readonly #target: ProxyAddress;
  #far: Socket | undefined;
  #isOpen = false;

  constructor(near: Socket, target: ProxyAddress) {
    this.#near = near;
    this.#target = target;
    this.localPort = near.remotePort ?? 0;
  }

  /** Lets everything through from now on, also what was sent meanwhile. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#far ??= this.#connect();
    if (this.#far.destroyed) {
      this.end();
      return;
    }
    this.#near.pipe(this.#far);
    this.#far.pipe(this.#near);
  }

  block(how: Blockage): void {
    if (how === 'refused') {
      this.end();
      return;
    }
    this.#isOpen = false;
    const far = this.#far;
    if (!far) return;
    this.#near.unpipe(far);
    far.unpipe(this.#near);
    // Without a reader the data stays in the kernel's buffers, until there is no room and the sender waits.
    this.#near.pause();
    far.pause();
  }

  end(): void {
    this.#near.destroy();
    this.#far?.destroy();
  }

  #connect(): Socket {
    const far = connect(this.#target);
    far.setNoDelay(true);
    // Where nothing goes through, not even its end does: the caller learns of it once the connection is open again.
    far.on('error', () => this.#isOpen && this.#near.destroy());
    far.on('close', () => this.#isOpen && this.#near.end());
    return far;
  }
}

export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<ProxyConnection>();
  #port = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    return this.#port;
  }

  /**
   * @param at port 0 takes any that is free
   * @param target where a connection leads; asked for each, where it is a function
   * @param verdict asked for each new connection: whether it is let through; the answer may take its time
   * @throws PortTakenError
   */
  static async listen(
    at: ProxyAddress,
    target: ProxyAddress | (() => ProxyAddress),
    verdict: (connection: ProxyConnection) => Promise<Blockage | undefined>,
  ): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    const proxy = new TcpProxy(server);
    server.on('connection', (socket: Socket) => {
      const connection = new ProxyConnection(socket, typeof target === 'function' ? target() : target);
      proxy.#connections.add(connection);
      socket.on('close', () => {
        connection.end();
        proxy.#connections.delete(connection);
      });
      socket.on('error', () => connection.end());
      verdict(connection).then(
        (blockage) => (blockage === undefined ? connection.open() : connection.block(blockage)),
        () => connection.end(),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'EADDRINUSE' ? new PortTakenError(error.message, { cause: error }) : error),
      );
      server.listen(at.port, at.host, resolve);
    });
    const address = server.address();
    proxy.#port = typeof address === 'object' && address !== null ? address.port : at.port;
    return proxy;
  }

  /** Those that are there now. */
  get connections(): readonly ProxyConnection[] {
    return [...this.#connections];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.end();
    await closed;
  }
}
