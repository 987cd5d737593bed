// Finds a whole kube-apiserver and kube-controller-manager to run, and what Kyverno and openreports define their kinds
// by: made from their Go modules (lab/servers), once, into the cache folder.
import { access, constants, copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as z from 'zod/mini';
import { projectRoot } from '../../lib/bundling.ts';
import { hasGo } from '../control-plane/etcd-versions.ts';
import { goBuild, runGo } from '../control-plane/go-modules.ts';
import { cachedPackage, keptInCache } from '../control-plane/package-cache.ts';

/** Absolute paths. */
export interface KubernetesBinaries {
  readonly version: string;
  readonly apiServer: string;
  readonly controllerManager: string;
  /** Prints reports as JSON, see lab/servers/report-kinds. */
  readonly sampleReports: string;
  /** CustomResourceDefinitions in YAML. */
  readonly definitions: readonly string[];
}

const KUBERNETES_VERSION = '1.37.2';
const SERVERS = `kubernetes-${KUBERNETES_VERSION}`;
const REPORT_KINDS = 'report-kinds';
/** With the versions in its go.mod another one. */
const KINDS_IN_CACHE = 'report-kinds-kyverno-1.19.1-openreports-0.2.1';
const DEFINITIONS: Readonly<Record<string, readonly string[]>> = {
  'github.com/kyverno/kyverno': [
    'config/crds/policyreport/wgpolicyk8s.io_policyreports.yaml',
    'config/crds/policyreport/wgpolicyk8s.io_clusterpolicyreports.yaml',
    'config/crds/reports/reports.kyverno.io_ephemeralreports.yaml',
    'config/crds/reports/reports.kyverno.io_clusterephemeralreports.yaml',
    'config/crds/kyverno/kyverno.io_updaterequests.yaml',
  ],
  'github.com/openreports/reports-api': [
    'config/crd/openreports.io_reports.yaml',
    'config/crd/openreports.io_clusterreports.yaml',
  ],
};
const module = z.object({ Dir: z.string() });

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Why there is no whole API server here; undefined: there is one, built now where it was not. For the top of a test
 * file, since no hook has the time for it.
 * @param onProgress told of each build. @default standard error
 * @throws Error where a build fails
 */
export async function whyNoKubernetes(
  onProgress: (message: string) => void = console.warn,
  environment: Environment = process.env,
): Promise<string | undefined> {
  const isBuilt = (await isThere(cachedPackage(SERVERS, environment), binaries)) && (await hasKinds(environment));
  if (!isBuilt && !(await hasGo(environment))) {
    return `a whole kube-apiserver is built from its Go modules, and Go is not on PATH (https://go.dev/dl)`;
  }
  await findKubernetes(onProgress, environment);
  return undefined;
}

/**
 * Takes 6 minutes on two idle cores the first time, and the modules' download before it. Several processes may call it
 * at the same time: one builds, the others wait.
 * @throws Error with what Go said, or that it is missing
 */
export async function findKubernetes(
  onProgress: (message: string) => void = () => {},
  environment: Environment = process.env,
): Promise<KubernetesBinaries> {
  const servers = await keptInCache(
    SERVERS,
    (folder) => isThere(folder, binaries),
    (into) => buildServers(join(into, 'root'), onProgress, environment),
    environment,
  );
  const kinds = await keptInCache(
    KINDS_IN_CACHE,
    (folder) => isThere(folder, ['sample-reports', ...definitionNames()]),
    (into) => takeKinds(join(into, 'root'), onProgress, environment),
    environment,
  );
  return {
    version: KUBERNETES_VERSION,
    apiServer: join(servers, 'kube-apiserver'),
    controllerManager: join(servers, 'kube-controller-manager'),
    sampleReports: join(kinds, 'sample-reports'),
    definitions: definitionNames().map((name) => join(kinds, name)),
  };
}

const binaries = ['kube-apiserver', 'kube-controller-manager'];

async function buildServers(into: string, onProgress: (message: string) => void, environment: Environment) {
  await mkdir(into);
  onProgress(`building kube-apiserver ${KUBERNETES_VERSION} from its Go modules: 6 to 15 minutes, once`);
  const [major, minor] = KUBERNETES_VERSION.split('.');
  // As Kubernetes' own build says it; without, the server says that it is 0.0.0.
  const says = { gitVersion: `v${KUBERNETES_VERSION}`, gitMajor: major, gitMinor: minor };
  const named = Object.entries(says).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  const flags = ['-ldflags', ['-s -w', ...named].join(' '), '-o', `${into}/`];
  await goBuild(folderOf(SERVERS), [...flags, ...binaries.map((name) => `./${name}`)], environment);
}

/** Nothing of theirs is kept in this repository. */
async function takeKinds(into: string, onProgress: (message: string) => void, environment: Environment) {
  await mkdir(into);
  onProgress("fetching the definitions of Kyverno's and openreports' kinds from their Go modules, once");
  const folder = folderOf(REPORT_KINDS);
  await goBuild(folder, ['-o', join(into, 'sample-reports'), '.'], environment);
  for (const [path, files] of Object.entries(DEFINITIONS)) {
    const { Dir } = module.parse(JSON.parse(await runGo(folder, ['list', '-m', '-json', path], environment)));
    await Promise.all(files.map((file) => copyFile(join(Dir, file), join(into, basename(file)))));
  }
}

function definitionNames(): readonly string[] {
  return Object.values(DEFINITIONS).flatMap((files) => files.map((file) => basename(file)));
}

function hasKinds(environment: Environment): Promise<boolean> {
  return isThere(cachedPackage(KINDS_IN_CACHE, environment), ['sample-reports', ...definitionNames()]);
}

async function isThere(folder: string, files: readonly string[]): Promise<boolean> {
  const found = files.map((file) => access(join(folder, file), constants.R_OK));
  return (await Promise.allSettled(found)).every(({ status }) => status === 'fulfilled');
}

function folderOf(server: string): string {
  return join(projectRoot, 'lab/servers', server);
}
