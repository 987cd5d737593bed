// A report as a recovery ends in it, for tests of what becomes of reports.
import type { RunReport } from '../../functions/contract/report.ts';

export function sampleReport(changes: Partial<RunReport> = {}): RunReport {
  return {
    cluster: 'demo',
    workflow: 'recover',
    outcome: 'recovered',
    reason: 'Writes are accepted again.',
    trigger: { kind: 'alarm', source: 'etcd-medic-demo-nospace' },
    dryRun: false,
    startedAt: '2026-03-01T02:00:00.000Z',
    finishedAt: '2026-03-01T02:01:30.000Z',
    members: [
      {
        id: '8e9e05c52164694d',
        name: 'cp-1',
        endpoint: 'https://10.0.0.1:2379',
        isLeader: true,
        isLearner: false,
        quotaBytes: 2_147_483_648,
        before: { dbSize: 2_100_000_000, dbSizeInUse: 40_000_000, alarms: ['NOSPACE'] },
        after: { dbSize: 41_000_000, dbSizeInUse: 40_000_000, alarms: [] },
        defragmented: true,
        durationMs: 1_800,
      },
    ],
    steps: [step('defragment cp-1', 'from 2.1 GB to 41 MB')],
    ...changes,
  };
}

export function step(name: string, detail: string): RunReport['steps'][number] {
  return { name, startedAt: '2026-03-01T02:00:10.000Z', durationMs: 1_800, outcome: 'done', detail };
}
