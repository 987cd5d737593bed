// A control plane on this machine: real etcd members as kubeadm sets them up, each under a kubelet.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findEtcd } from './etcd-binaries.ts';
import { prepareLayout } from './layout.ts';
import { memberFiles } from './member.ts';
import type { ControlPlaneOptions } from './options.ts';
import { ControlPlane } from './plane.ts';
import { assertHasProbes } from './probes.ts';
import { onProcessEnd } from './process-end.ts';
import { PortTakenError } from './readiness.ts';
import { readSavedPlane, type SavedPlane } from './saved-plane.ts';

/** A port that was free a moment ago is hardly ever taken twice in a row. */
const ATTEMPTS = 5;

/**
 * Starts the members and waits until each answers a linearizable read.
 * @throws EtcdNotFoundError
 * @throws MemberStartError with the end of the member's log
 * @throws RangeError for options that don't go together
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { onProgress = () => {}, flags = [], kubeletSpeed = 1, probes, nodes = false } = options;
  const binaries = await findEtcd(options.version, { onProgress });
  if (probes !== undefined) assertHasProbes(probes, binaries.version);
  const keep = options.directory !== undefined;
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'etcd-medic-')));
  await mkdir(directory, { recursive: true });
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const forget = keep ? () => {} : onProcessEnd(remove);
  try {
    const saved = keep ? await readSavedPlane(directory) : undefined;
    if (saved) checkSaved(saved, options);
    for (let attempt = 1; ; attempt++) {
      const layout = saved ?? (await prepareLayout(directory, binaries, options));
      const setting = { directory, keep, binaries, tls: layout.tls, flags, kubeletSpeed, probes, nodes };
      onProgress(`starting ${layout.members.length} members of etcd ${binaries.version}`);
      const plane = new ControlPlane(setting);
      try {
        await plane.start(layout.members);
        return plane;
      } catch (error) {
        await plane.stop({ keep: true });
        if (!(error instanceof PortTakenError) || saved || attempt === ATTEMPTS) throw error;
        for (const member of layout.members) {
          const { dataDir, logFile } = memberFiles(directory, member);
          // Only what is in it: a data folder may be a filesystem of its own.
          const paths = [join(dataDir, 'member'), logFile];
          await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })));
        }
      }
    }
  } catch (error) {
    if (!keep) remove();
    throw error;
  } finally {
    forget();
  }
}

/** A saved plane starts as it was; what it was made without, it can't be started with. */
function checkSaved({ members }: SavedPlane, { probes, nodes, addresses, proxies }: ControlPlaneOptions): void {
  const lacks = (what: string) => {
    throw new RangeError(`the saved plane was made without ${what}: start a fresh one with it`);
  };
  for (const { address, metricsPort, behindProxies } of members) {
    if ((nodes || addresses) && address === undefined) lacks('addresses');
    if ((nodes || probes !== undefined) && metricsPort === undefined)
      lacks('a metrics port, which probes and nodes bring');
    if (proxies && behindProxies === undefined) lacks('proxies');
  }
}
