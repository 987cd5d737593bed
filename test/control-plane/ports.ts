// Free ports of 127.0.0.1 for members to listen on.
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';

const LOWEST_PORT = 10_000;
const DEFAULT_EPHEMERAL_FROM = 32_768;

/**
 * Ports that nobody listens on now, all different. Somebody else may take one before it is used: try again with new ones then.
 * They lie below the ports that the kernel gives to outgoing connections, as one of those would keep a restarted
 * member from listening again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '');
  const ephemeralFrom = Number(range.split(/\s+/)[0]) || DEFAULT_EPHEMERAL_FROM;
  const width = ephemeralFrom - LOWEST_PORT;
  const held: Server[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    // On a machine where all ports are ephemeral, the kernel chooses.
    const server = await hold(width > 1000 ? LOWEST_PORT + Math.floor(Math.random() * width) : 0);
    const address = server?.address();
    if (!server || typeof address !== 'object' || address === null) continue;
    held.push(server);
    ports.push(address.port);
  }
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Undefined where the port is taken. */
function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
