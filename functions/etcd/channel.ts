// The gRPC channel to one member: how it is made, and what it never does on its own account.
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { Channel, type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { Host } from 'etcd3/lib/connection-pool.js';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { hostAndPort, isTls } from './endpoint.ts';

const MiB = 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  // What changes a member is never sent again on anybody's own account (R5).
  'grpc.enable_retries': 0,
  // The sockets are this connection's own, so that closing it can't end another's.
  'grpc.use_local_subchannel_pool': 1,
  // A member has one address; nobody's proxy and no DNS record has a say in how it is reached.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // A restarting member is polled: it should be found soon after it is back.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // etcd closes connections that ping more often than every 5 s; a defragmenting member still answers pings.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // The largest answer asked for is a sample of values of 1.5 MB each.
  'grpc.max_receive_message_length': 64 * MiB,
  // How much a member may send ahead: with HTTP/2's own 64 KiB a snapshot takes twice as long, even on one machine.
  'grpc-node.flow_control_window': 4 * MiB,
};

/**
 * The server's name in TLS where the endpoint is an IP address, which RFC 6066 doesn't allow there (and Node warns
 * about).
 */
const NAME_FOR_ADDRESSES = 'etcd';

/**
 * @returns the channel, and etcd3's clients on it, which know the messages. Its pool is left out: it retries, breaks
 *   circuits and closes channels over a NOSPACE answer.
 */
export function openChannel(
  endpoint: string,
  tls: TlsMaterial | undefined,
): { readonly channel: Channel; readonly host: Host } {
  const target = hostAndPort(endpoint);
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  const secure = isTls(endpoint) && isIP(host) !== 0;
  const options = { ...CHANNEL_OPTIONS, ...(secure && { 'grpc.ssl_target_name_override': NAME_FOR_ADDRESSES }) };
  const channelCredentials = makeCredentials(endpoint, host, tls);
  const channel = new Channel(target, channelCredentials, options);
  return { channel, host: new Host(target, channelCredentials, { ...options, channelOverride: channel }) };
}

function makeCredentials(endpoint: string, host: string, tls: TlsMaterial | undefined): ChannelCredentials {
  if (!isTls(endpoint)) return credentials.createInsecure();
  const pem = tls && { ca: Buffer.from(tls.ca), cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) };
  return credentials.createSsl(pem?.ca, pem?.key, pem?.cert, {
    // R15: said here, so that no environment variable can turn it off.
    rejectUnauthorized: true,
    // The endpoint's own address, whatever name was sent.
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
}
