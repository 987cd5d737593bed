// Runs etcdctl against a plane, as a person would.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import type { CredentialFiles } from './certificates.ts';
import type { EtcdBinaries } from './etcd-binaries.ts';

/**
 * @param endpoints for `args` that name none
 * @returns its standard output
 * @throws EtcdMedicError where there is none beside this etcd
 */
export async function runEtcdctl(
  { etcdctl }: EtcdBinaries,
  credentials: CredentialFiles | undefined,
  endpoints: readonly string[],
  args: readonly string[],
): Promise<string> {
  if (!etcdctl) throw new EtcdMedicError('there is no etcdctl beside this etcd: install etcd-client');
  const tls = credentials
    ? [`--cacert=${credentials.caFile}`, `--cert=${credentials.certFile}`, `--key=${credentials.keyFile}`]
    : [];
  // Given twice, etcdctl takes both.
  const all = args.some((arg) => arg.startsWith('--endpoints')) ? [] : [`--endpoints=${endpoints.join(',')}`];
  // Its own 5 s are over where a slow machine holds an election. Given twice, the last one counts.
  const patience = ['--command-timeout=60s', '--dial-timeout=10s'];
  const { stdout } = await promisify(execFile)(etcdctl, [...patience, ...all, ...tls, ...args], {
    env: { PATH: process.env.PATH, ETCDCTL_API: '3' },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}
