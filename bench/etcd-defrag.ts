// The best of the tools that people run by hand, beside ours: github.com/ahrtr/etcd-defrag, where `ETCD_DEFRAG` names
// its binary. It is nothing that npm or Go's module proxy have, so that without one its rows are left out, and named.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ControlPlane } from '../lab/control-plane/plane.ts';

const TIMEOUT_SECONDS = 300;

/** @throws Error with what it said where it ended with another exit code than 0 */
export type EtcdDefrag = (plane: ControlPlane, args: readonly string[]) => Promise<void>;

/**
 * @returns undefined where `ETCD_DEFRAG` is not set, which is said on standard output
 * @throws Error where what it names does not run
 */
export async function findEtcdDefrag(): Promise<EtcdDefrag | undefined> {
  const binary = process.env.ETCD_DEFRAG;
  if (!binary) {
    console.log('etcd-defrag is LEFT OUT: ETCD_DEFRAG names its binary (https://github.com/ahrtr/etcd-defrag)');
    return undefined;
  }
  const run = promisify(execFile);
  const { stdout } = await run(binary, ['--version']);
  console.log(`${/^.*Version.*$/m.exec(stdout)?.[0] ?? binary}, one process from its start to its end`);
  return async (plane, args) => {
    const { caFile, certFile, keyFile } = plane.credentials ?? {};
    const credentials = Object.entries({ cacert: caFile, cert: certFile, key: keyFile });
    await run(binary, [
      `--endpoints=${plane.endpoints.join(',')}`,
      ...credentials.flatMap(([flag, file]) => (file === undefined ? [] : [`--${flag}=${file}`])),
      `--command-timeout=${TIMEOUT_SECONDS}s`,
      ...args,
    ]);
  };
}
