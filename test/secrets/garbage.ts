// Something else at a member's address: it answers with what it was sent, or with nothing that anybody understands.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { openAuthority } from '../../lab/control-plane/certificates.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { readMaterial } from '../etcd/material.ts';

/** `tls`: with a certificate that the member could have, so that it is believed. */
export type Garbage = 'plain' | 'tls';

/** @param endpoint nobody may listen there */
export async function startGarbage(plane: ControlPlane, endpoint: string, kind: Garbage): Promise<AsyncDisposable> {
  const { hostname, port } = new URL(endpoint);
  const sockets = new Set<Socket>();
  const answer = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      socket.end(Buffer.concat([Buffer.from('HTTP/1.1 400 Bad Request\r\nServer: none\r\n\r\nyou said: '), chunk]));
    });
  };
  const server: Server = kind === 'plain' ? createServer(answer) : await tlsServer(plane, hostname, answer);
  server.listen(Number(port), hostname);
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function tlsServer(plane: ControlPlane, host: string, answer: (socket: Socket) => void): Promise<Server> {
  const authority = await openAuthority(dirname(plane.credentials?.caFile ?? ''));
  const { cert, key } = await readMaterial(await authority.issue({ name: 'garbage', addresses: [host] }));
  // Takes HTTP/2 at first, as etcd does.
  const server = createTlsServer({ cert, key, ALPNProtocols: ['h2'], requestCert: true, rejectUnauthorized: false });
  server.on('secureConnection', answer);
  server.on('tlsClientError', () => {});
  return server;
}
