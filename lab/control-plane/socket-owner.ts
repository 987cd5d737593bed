// Tells whose connection it is that a proxy has accepted: everything on this machine comes from 127.0.0.1.
import { readdir, readFile, readlink } from 'node:fs/promises';

/**
 * The one of these processes that has a TCP connection (IPv4) from `localPort` to `remotePort`.
 * @returns undefined where none of them has; a connection that was closed meanwhile is nobody's
 */
export async function connectionOwner(
  { localPort, remotePort }: { readonly localPort: number; readonly remotePort: number },
  pids: readonly number[],
): Promise<number | undefined> {
  const inode = await socketInode(localPort, remotePort);
  if (inode === undefined) return undefined;
  for (const pid of pids) {
    if (await holds(pid, `socket:[${inode}]`)) return pid;
  }
  return undefined;
}

async function socketInode(localPort: number, remotePort: number): Promise<string | undefined> {
  const table = await readFile('/proc/net/tcp', 'utf8');
  for (const line of table.split('\n').slice(1)) {
    // sl, local address, remote address, state, queues, timer, retransmissions, uid, timeout, inode
    const [, local = '', remote = '', , , , , , , inode] = line.trim().split(/\s+/);
    if (port(local) === localPort && port(remote) === remotePort) return inode;
  }
  return undefined;
}

/** Of an address such as `0100007F:1F90`. */
function port(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}

async function holds(pid: number, socket: string): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  // A process that ends meanwhile holds nothing.
  const files = await readdir(folder).catch(() => []);
  for (const file of files) {
    if ((await readlink(`${folder}/${file}`).catch(() => '')) === socket) return true;
  }
  return false;
}
