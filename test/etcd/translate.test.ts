import { describe, expect, it } from 'vitest';
import { toEtcdError } from '../../functions/etcd/translate.ts';
import { grpcError } from './stand-ins.ts';

const call = { endpoint: 'https://10.0.0.1:2379', method: 'Compact' };
const noConnection = (cause: string) =>
  `No connection established. Last error: ${cause} (2026-11-21T09:45:16.491Z). Resolution note: `;

describe('what a gRPC error means', () => {
  it.each([
    [8, 'etcdserver: mvcc: database space exceeded', 'NoSpaceError', 'not-done'],
    [15, 'etcdserver: corrupt cluster', 'CorruptError', 'not-done'],
    // 3.4 says it with 14, 3.5 with 9.
    [14, 'etcdserver: rpc not supported for learner', 'LearnerError', 'not-done'],
    [9, 'etcdserver: rpc not supported for learner', 'LearnerError', 'not-done'],
    [9, 'etcdserver: not leader', 'NotLeaderError', 'not-done'],
    [14, 'etcdserver: no leader', 'QuorumLostError', 'unknown'],
    [14, 'etcdserver: leader changed', 'QuorumLostError', 'unknown'],
    [14, 'etcdserver: request timed out', 'QuorumLostError', 'unknown'],
    [14, 'etcdserver: request timed out, possibly due to connection lost', 'QuorumLostError', 'unknown'],
    [14, 'etcdserver: request timed out, leader transfer took too long', 'EtcdTimeoutError', 'unknown'],
    [7, 'etcdserver: permission denied', 'PermissionDeniedError', 'not-done'],
    [3, 'etcdserver: user name is empty', 'PermissionDeniedError', 'not-done'],
    [16, 'etcdserver: invalid auth token', 'PermissionDeniedError', 'not-done'],
    [4, 'Deadline exceeded after 1.501s,LB pick: 0.001s,remote_addr=10.0.0.1:2379', 'EtcdTimeoutError', 'unknown'],
    [4, 'Deadline exceeded after 1.501s,Waiting for LB pick', 'EtcdTimeoutError', 'not-done'],
    [4, 'Deadline exceeded after 1.501s,waiting for name resolution', 'EtcdTimeoutError', 'not-done'],
    [2, 'context deadline exceeded', 'EtcdTimeoutError', 'unknown'],
    [12, 'unknown service etcdserverpb.Maintenance', 'NotEtcdError', 'not-done'],
    [12, 'unknown method Downgrade for service etcdserverpb.Maintenance', 'UnsupportedError', 'not-done'],
    [12, 'Received HTTP status code 404', 'NotEtcdError', 'unknown'],
    [13, 'Response message parsing error: invalid wire type 4 at offset 1', 'NotEtcdError', 'unknown'],
    [2, 'auth: permission denied', 'PermissionDeniedError', 'not-done'],
    [9, 'etcdserver: bad leader transferee', 'EtcdError', 'not-done'],
    [11, 'etcdserver: mvcc: required revision is a future revision', 'EtcdError', 'not-done'],
    [13, 'Received RST_STREAM with code 2', 'EtcdError', 'unknown'],
    [14, 'Connection dropped', 'EtcdUnreachableError', 'unknown'],
    [14, 'read ETIMEDOUT', 'EtcdUnreachableError', 'unknown'],
    [14, 'etcdserver: server stopped', 'EtcdUnreachableError', 'unknown'],
    [14, 'Name resolution failed for target dns:nowhere:2379', 'UnaskedError', 'not-done'],
    [14, noConnection('Error: getaddrinfo EAI_AGAIN nowhere'), 'UnaskedError', 'not-done'],
    [14, noConnection('Error: connect ENETUNREACH 10.0.0.1:2379'), 'UnaskedError', 'not-done'],
    [14, noConnection('Error: connect EACCES 10.0.0.1:2379 permission denied'), 'UnaskedError', 'not-done'],
    [14, noConnection('Error: connect ECONNREFUSED 10.0.0.1:2379'), 'EtcdUnreachableError', 'not-done'],
    [14, noConnection('Error: connect EHOSTUNREACH 10.0.0.1:2379'), 'EtcdUnreachableError', 'not-done'],
    [14, noConnection('something new'), 'EtcdUnreachableError', 'not-done'],
    [14, noConnection('Error: unable to verify the first certificate'), 'EtcdTlsError', 'not-done'],
    [14, noConnection('Error: certificate has expired'), 'EtcdTlsError', 'not-done'],
    [
      14,
      noConnection("Error: Hostname/IP does not match certificate's altnames: IP: 10.0.0.1"),
      'EtcdTlsError',
      'not-done',
    ],
    [14, noConnection('Protocol error'), 'NotEtcdError', 'not-done'],
  ])('%i %s is a %s, %s', (code, details, name, outcome) => {
    const error = toEtcdError(grpcError(code, details), call);

    expect(error).toMatchObject({ name, outcome, endpoint: call.endpoint, method: 'Compact' });
    expect(error.message).toMatch(/^Compact at https:\/\/10\.0\.0\.1:2379: /);
  });

  it.each([
    [16, 'Received HTTP status code 401', 'NotEtcdError'],
    [7, 'Received HTTP status code 403', 'NotEtcdError'],
    [14, 'Received HTTP status code 503', 'NotEtcdError'],
    [7, 'Protocol not secure enough', 'EtcdError'],
    [8, 'Bandwidth exhausted or memory limit exceeded', 'EtcdError'],
    [8, 'upstream: rate limited', 'EtcdError'],
    [7, 'RBAC: access denied', 'EtcdError'],
    [9, 'a proxy with a permission denied of its own', 'EtcdError'],
  ])('R5: %i %s is not of etcd, so whether it was done is unknown', (code, details, name) => {
    const error = toEtcdError(grpcError(code, details), call);

    expect(error).toMatchObject({ name, outcome: 'unknown' });
  });

  it.each([
    ['SSL/TLS alert bad certificate', 'ssl/tls alert bad certificate', 42, 'refused the client certificate'],
    ['TLS 1.3 alert unknown ca', 'tlsv1 alert unknown ca', 48, 'refused the client certificate'],
    ['TLS 1.3 alert certificate expired', 'ssl/tls alert certificate expired', 45, 'as expired'],
    ['TLS 1.3 alert certificate required', 'tlsv13 alert certificate required', 116, 'wants a client certificate'],
  ])("tells apart the server's %s, without OpenSSL's ids", (_name, alert, number, text) => {
    const openSsl = `405DE8B0837F0000:error:0A000412:SSL routines:ssl3_read_bytes:${alert}:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:918:SSL alert number ${number}\n`;

    const error = toEtcdError(grpcError(14, noConnection(openSsl)), call);

    expect(error.name).toBe('EtcdTlsError');
    expect(error.message).toContain(text);
    expect(error.message).toContain(`(${alert}; SSL alert number ${number})`);
    expect(error.message).not.toMatch(/405DE8B0|openssl\/|2026-11-21|\n/);
  });

  it('R15: cuts key material out of what came back', () => {
    const error = toEtcdError(grpcError(2, 'bad -----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----'), call);

    expect(error.message).not.toContain('MIIabc');
  });

  it.each([
    [7_010, 'QuorumLostError'],
    [9_990, 'EtcdTimeoutError'],
  ])('R5: takes "context deadline exceeded" after %i of 10000 ms as %s', (elapsedMs, name) => {
    const error = toEtcdError(grpcError(2, 'context deadline exceeded'), call, { timeoutMs: 10_000, elapsedMs });

    expect(error).toMatchObject({ name, outcome: 'unknown' });
  });

  it('leaves an error that is translated already as it is', () => {
    const error = toEtcdError(grpcError(8, 'etcdserver: mvcc: database space exceeded'), call);

    expect(toEtcdError(error, { endpoint: 'another', method: 'other' })).toBe(error);
  });
});
