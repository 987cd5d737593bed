import { defineConfig } from 'vitest/config';

// A project for each suite, named after what it needs; `npx vitest run --project NAME`. A test file belongs to exactly
// one, which test/house/suites.test.ts holds.

/** Nothing: no etcd, no stand-in, no process. Seconds. */
export const UNIT = [
  'test/contents/{beside,contents,crc32c,damage,growth,managed-fields,samples}.test.ts',
  'test/contract/{configuration,environment,kinds,report,versions}.test.ts',
  'test/control-plane/{choose-snapshot-source,content-hashes,copy-time,node-match,verify}.test.ts',
  'test/dispatch/{handler,parse,shapes}.test.ts',
  'test/engine/operations.test.ts',
  'test/etcd/{metrics,translate}.test.ts',
  'test/house/**/*.test.ts',
  'test/kubernetes/pace.test.ts',
  'test/lib/metric-math.test.ts',
  'test/maintain/decide.test.ts',
  'test/nodes/agent-version.test.ts',
  'test/permissions/iam.test.ts',
  'test/probe/last-known.test.ts',
  'test/prune/{absence,guard,limits}.test.ts',
  'test/recover/decide.test.ts',
  'test/reports/**/*.test.ts',
  'test/widget/{event,next-runs,page,timeline,verdict}.test.ts',
];

/**
 * What is deployed, as it is deployed: the templates, the bundles, their licences, the roles' permissions, the SSM
 * documents' scripts, the certificates that are issued, and no secret in anything that leaves.
 */
const DEPLOYED = [
  'test/bundle/**/*.test.ts',
  'test/credentials/**/*.test.ts',
  'test/lib/**/*.test.ts',
  'test/nodes/**/*.test.ts',
  'test/permissions/**/*.test.ts',
  'test/secrets/**/*.test.ts',
];

/**
 * What others do to a cluster while we are at work, and what real servers of many versions do that a lab would not:
 * a version's own flaws, addresses that lead elsewhere, somebody else's defragmentation or backup, rights that are
 * missing, names as people give them, objects that can't be decoded, no quorum, the runbook's commands typed for real;
 * and the durable handlers on AWS's own local runner.
 */
const SCENARIOS = [
  'test/contents/{hashkv,judged}.test.ts',
  'test/docs/runbook-commands.test.ts',
  'test/engine/official-runner.test.ts',
  'test/etcd/{client-http-urls,identity,keyspace}.test.ts',
  'test/maintain/{alarm-path,compare,nodes}.test.ts',
  'test/probe/stranger.test.ts',
  'test/prune/{crash,unreadable}.test.ts',
  'test/recover/{copy-order,dispatch,names,never-started,no-quorum,nodes,on-the-way,rights,rolling-upgrade,shared-address,somebody-defragments,streams,versions}.test.ts',
  'test/snapshot/{proof,take}.test.ts',
];

/**
 * What the other tests stand on: the control plane with its kubelets, probes and network, the stand-ins of AWS, and
 * what runs a function here in Lambda's place, by hand or to measure it.
 */
const LAB = ['test/bench/**/*.test.ts', 'test/bin/**/*.test.ts', 'test/lab/**/*.test.ts'];

/** A crash at every checkpoint: what takes its time, and whose time does not matter. */
const CRASHES = ['test/chaos/{crash,crash-pruning,maintain-crash}.test.ts'];
/** Kubelets that wait for minutes, with nothing to compute meanwhile. */
const CRASH_LOOP = ['test/chaos/crash-loop.test.ts'];
/** Each case is a process of its own that mostly waits: 13 s for a member, in real time. */
const AWAY = ['test/chaos/away.test.ts'];
/**
 * Dozens of runs each, that mostly wait: the trouble lasts for two seconds of real time. ETCD_MEDIC_EVERY_CALL=1 has
 * many more.
 */
const HICCUPS = ['test/chaos/hiccups/*.test.ts'];
/** Tens of thousands of reports: minutes, and gigabytes of memory for the API server. */
const SCALE = ['test/scale/**/*.test.ts'];
/** A kube-apiserver and a kube-controller-manager, which are built from their Go modules: left out without Go. */
const WHOLE = ['test/whole/**/*.test.ts'];
/** Debian's and Ubuntu's package is `chromium`. */
const BROWSER = ['test/browser/**/*.test.ts'];

const minutes = (count: number) => count * 60_000;

export interface Suite {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
  /**
   * Real etcd members share two cores with the tests. Much of it is waiting; more files at once only make members time
   * out.
   */
  readonly maxWorkers: number;
  readonly maxConcurrency?: number;
  /** @default 5 minutes */
  readonly testTimeout?: number;
}

export const SUITES: readonly Suite[] = [
  { name: 'unit', include: UNIT, maxWorkers: 2, testTimeout: minutes(1) },
  // Real etcd, real API server, AWS by its stand-ins: with `unit` it is what `npm test` runs, and stays below five
  // minutes.
  {
    name: 'members',
    include: ['test/**/*.test.ts'],
    exclude: ['test/chaos/**', ...UNIT, ...DEPLOYED, ...SCENARIOS, ...LAB, ...SCALE, ...WHOLE, ...BROWSER],
    maxWorkers: 3,
  },
  { name: 'scenarios', include: SCENARIOS, maxWorkers: 2 },
  { name: 'lab', include: LAB, maxWorkers: 2 },
  { name: 'deployed', include: DEPLOYED, exclude: UNIT, maxWorkers: 3 },
  { name: 'crashes', include: CRASHES, maxWorkers: 2, testTimeout: minutes(10) },
  // One at a time: what is tested here is time-critical, and two real cores are all there is.
  {
    name: 'faults',
    include: ['test/chaos/**/*.test.ts'],
    exclude: [...CRASHES, ...CRASH_LOOP, ...AWAY, ...HICCUPS],
    maxWorkers: 1,
    testTimeout: minutes(10),
  },
  { name: 'crash-loop', include: CRASH_LOOP, maxWorkers: 1, testTimeout: minutes(10) },
  { name: 'away', include: AWAY, maxWorkers: 1, maxConcurrency: 8, testTimeout: minutes(10) },
  { name: 'hiccups', include: HICCUPS, maxWorkers: 3, testTimeout: minutes(30) },
  // One at a time: memory is measured here.
  { name: 'scale', include: SCALE, maxWorkers: 1, testTimeout: minutes(15) },
  // One at a time: a server has as much to do as two cores can.
  { name: 'whole', include: WHOLE, maxWorkers: 1 },
  { name: 'browser', include: BROWSER, maxWorkers: 1, testTimeout: minutes(2) },
];

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: SUITES.map(({ include, exclude = [], testTimeout = minutes(5), ...suite }, index) => ({
      test: {
        ...suite,
        include: [...include],
        exclude: [...exclude],
        testTimeout,
        hookTimeout: minutes(5),
        // One after the other where several are asked for.
        sequence: { groupOrder: index },
      },
    })),
  },
});
