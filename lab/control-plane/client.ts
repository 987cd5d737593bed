// Connections for tests to one member each, by etcd3 as it is: the rooms' own client is what is being tested.
import { readFileSync } from 'node:fs';
import { noop } from 'cockatiel';
import { Etcd3 } from 'etcd3';
import type { CredentialFiles } from './certificates.ts';

/** A member of a cluster, as far as a connection to it goes. */
export interface Reachable {
  readonly members: readonly {
    readonly name: string;
    /** Hexadecimal. */
    readonly id: string;
    readonly endpoint: string;
    readonly quotaBytes: number;
  }[];
  readonly credentials: CredentialFiles | undefined;
}

/**
 * Runs `work` with a connection to one member, and closes it. Nothing is retried; calls need a deadline of their own.
 */
export async function withMember<Result>(
  plane: Pick<Reachable, 'credentials'>,
  endpoint: string,
  work: (client: Etcd3) => Promise<Result>,
): Promise<Result> {
  const client = new Etcd3({
    hosts: [endpoint],
    ...(plane.credentials && { credentials: readCredentials(plane.credentials) }),
    faultHandling: { host: () => noop, global: noop },
    // A member that is just starting is asked again soon.
    grpcOptions: {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      // Members' certificates are for this name too, and Node warns about an IP address as a server's name.
      'grpc.ssl_target_name_override': 'localhost',
    },
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** What etcd3's calls take so that they end. */
export function within(ms: number): { deadline: number } {
  return { deadline: Date.now() + ms };
}

/** An id as etcdctl prints it, from etcd3's decimal one. */
export function hexId(decimal: string): string {
  return BigInt(decimal).toString(16);
}

export function decimalId(hex: string): string {
  return BigInt(`0x${hex}`).toString();
}

function readCredentials({ caFile, certFile, keyFile }: CredentialFiles) {
  return {
    rootCertificate: readFileSync(caFile),
    certChain: readFileSync(certFile),
    privateKey: readFileSync(keyFile),
  };
}
