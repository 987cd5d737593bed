// Free ports of 127.0.0.1 for members to listen on.
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';

const LOWEST_PORT = 10_000;
const DEFAULT_EPHEMERAL_FROM = 32_768;
/** More than there are test files at the same time. */
const SLICES = 8;
/** Fewer aren't chosen from. */
const LEAST_WIDTH = 1_000;
const REMEMBERED = 500;

/** What this process was given lately: a member that isn't up yet, or is down for a while, doesn't listen. */
const given = new Set<number>();

/**
 * Ports that nobody listens on now, all different. Somebody else may take one before it is used: try again with new
 * ones then. They lie below the ports that the kernel gives to outgoing connections, as one of those would keep a
 * restarted member from listening again. For the same reason each of vitest's workers has ports of its own.
 */
export async function freePorts(count: number): Promise<number[]> {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '');
  const ephemeralFrom = Number(range.split(/\s+/)[0]) || DEFAULT_EPHEMERAL_FROM;
  const width = ephemeralFrom - LOWEST_PORT;
  // Two runs of vitest at the same time, which have the same numbers, share a slice no more often than any two.
  const worker = Number(process.env.VITEST_POOL_ID) + process.ppid;
  const slice = Math.floor(width / SLICES);
  const [from, among] =
    worker > 0 && slice > LEAST_WIDTH ? [LOWEST_PORT + (worker % SLICES) * slice, slice] : [LOWEST_PORT, width];
  const held: Server[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    // On a machine where all ports are ephemeral, the kernel chooses.
    const port = among > LEAST_WIDTH ? from + Math.floor(Math.random() * among) : 0;
    if (given.has(port)) continue;
    const server = await hold(port);
    const address = server?.address();
    if (!server || typeof address !== 'object' || address === null) continue;
    held.push(server);
    ports.push(address.port);
    given.add(address.port);
  }
  for (const port of [...given].slice(0, -REMEMBERED)) given.delete(port);
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
