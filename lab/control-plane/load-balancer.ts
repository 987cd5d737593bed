// A layer-4 load balancer before some members: one address, and each new connection leads to whom it is told.
import { LOOPBACK } from './member.ts';
import { TcpProxy } from './proxy.ts';

export class LoadBalancer implements AsyncDisposable {
  readonly endpoint: string;
  readonly #proxy: TcpProxy;

  private constructor(proxy: TcpProxy, scheme: string) {
    this.#proxy = proxy;
    this.endpoint = `${scheme}//${LOOPBACK}:${proxy.port}`;
  }

  /** @param choose the client URL that a new connection leads to */
  static async listen(choose: () => string, protocol = 'https:'): Promise<LoadBalancer> {
    const target = () => {
      const { hostname, port: to } = new URL(choose());
      return { host: hostname, port: Number(to) };
    };
    return new LoadBalancer(
      await TcpProxy.listen({ host: LOOPBACK, port: 0 }, target, async () => undefined),
      protocol,
    );
  }

  /** Breaks all connections off; whoever connects again may be led elsewhere. */
  breakOff(): void {
    for (const connection of this.#proxy.connections) connection.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
  }
}
