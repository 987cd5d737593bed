// A network between a client and a plain-text member that damages one byte of what the member sends.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface FlippingProxy extends AsyncDisposable {
  /** A client URL. */
  readonly endpoint: string;
  /** How many bytes were damaged so far. */
  flipped(): number;
}

/** @param run a byte; one in the middle of the first thousand of it in a row becomes another one */
export async function startFlippingProxy(to: string, run: number): Promise<FlippingProxy> {
  const target = new URL(to);
  const pattern = Buffer.alloc(1_000, run);
  const sockets = new Set<Socket>();
  let flipped = 0;
  const server = createServer((client) => {
    const member = connect(Number(target.port), target.hostname);
    for (const socket of [client, member]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => sockets.delete(socket));
    }
    client.pipe(member);
    member.on('data', (bytes: Buffer) => {
      const at = flipped === 0 ? bytes.indexOf(pattern) : -1;
      if (at !== -1) {
        bytes[at + pattern.length / 2] = run ^ 1;
        flipped++;
      }
      if (!client.write(bytes)) member.pause();
    });
    client.on('drain', () => member.resume());
    member.on('end', () => client.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy listens on no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    flipped: () => flipped,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
