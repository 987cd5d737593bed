// Servers on the wire that are not etcd, or an etcd that isn't packaged yet; all on free ports of 127.0.0.1.
import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2, createSecureServer as createHttp2OverTls } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { Server as GrpcServer, ServerCredentials, type ServiceError, type sendUnaryData } from '@grpc/grpc-js';
import protobuf from 'protobufjs/minimal.js';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';

export interface StandIn extends AsyncDisposable {
  /** Without a scheme. */
  readonly hostAndPort: string;
  /** Connections or calls that have come so far. */
  count(): number;
  /** Connections that are open now; 0 where only calls are counted. */
  open(): number;
}

/** Accepts connections, and never says a word. */
export function hanging(): Promise<StandIn> {
  return listen(createTcp((socket) => socket.resume()));
}

export function plainHttp(): Promise<StandIn> {
  return listen(createHttp((_request, response) => response.end('hello')));
}

export function http1OverTls({ cert, key }: TlsMaterial): Promise<StandIn> {
  return listen(createHttps({ cert, key }, (_request, response) => response.end('hello')));
}

export function http2Page(): Promise<StandIn> {
  return listen(createHttp2((_request, response) => response.end('<html>hello</html>')));
}

/** Has HTTP/2, so that a client gets as far as looking at its certificate. */
export function http2OverTls({ cert, key }: TlsMaterial, address = '127.0.0.1'): Promise<StandIn> {
  return listen(
    createHttp2OverTls({ cert, key }, (_request, response) => {
      response.writeHead(404);
      response.end();
    }),
    address,
  );
}

/** A gateway before etcd that answers every call with an HTTP status of its own, and no gRPC. */
export function gateway(status: number): Promise<StandIn> {
  return listen(
    createHttp2((_request, response) => {
      response.writeHead(status);
      response.end();
    }),
  );
}

/** Ends every call with a reset of HTTP/2. */
export function resetting(code: number): Promise<StandIn> {
  return listen(createHttp2((_request, response) => response.stream.close(code)));
}

/** Shakes hands, takes every call, and answers none. */
export function unanswering({ cert, key }: Pick<TlsMaterial, 'cert' | 'key'>): Promise<StandIn> {
  return listen(createHttp2OverTls({ cert, key }, () => {}));
}

/** A gRPC server that knows nothing of etcd. */
export function otherGrpc(): Promise<StandIn> {
  return listenGrpc(undefined);
}

/** The Status of an etcd of this version, with `dbSizeQuota` as etcd 3.6 has it. */
export function etcdStatus(version: string, dbSizeQuota: number): Promise<StandIn> {
  const header = protobuf.Writer.create().uint32(8).uint64(1).uint32(16).uint64(2).uint32(24).int64(3).finish();
  const answer = protobuf.Writer.create()
    .uint32((1 << 3) | 2)
    .bytes(header)
    .uint32((2 << 3) | 2)
    .string(version)
    .uint32((11 << 3) | 2)
    .string('3.6.0')
    .uint32((12 << 3) | 0)
    .int64(dbSizeQuota)
    .finish();
  return listenGrpc((reply) => reply(null, Buffer.from(answer)));
}

/** An etcd whose Status always fails in a way that etcd3 would try again. */
export function unavailable(): Promise<StandIn> {
  return listenGrpc((reply) => reply({ code: 14, details: 'etcdserver: leader changed' }));
}

async function listen(server: Server, address = '127.0.0.1'): Promise<StandIn> {
  const sockets = new Set<Socket>();
  let count = 0;
  server.on('connection', (socket) => {
    count++;
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    hostAndPort: `${address}:${(server.address() as AddressInfo).port}`,
    count: () => count,
    open: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Answer = (reply: sendUnaryData<Buffer>) => void;

async function listenGrpc(answer: Answer | undefined): Promise<StandIn> {
  const server = new GrpcServer();
  const same = (bytes: Buffer) => bytes;
  let count = 0;
  if (answer) {
    const status = {
      path: '/etcdserverpb.Maintenance/Status',
      requestStream: false as const,
      responseStream: false as const,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    server.addService(
      { status },
      {
        status: (_call: unknown, reply: sendUnaryData<Buffer>) => {
          count++;
          answer(reply);
        },
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    hostAndPort: `127.0.0.1:${port}`,
    count: () => count,
    open: () => 0,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

/** As grpc-js hands them to a caller. */
export function grpcError(code: number, details: string): Partial<ServiceError> & Error {
  return Object.assign(new Error(`${code} SOME_CODE: ${details}`), { code, details });
}
