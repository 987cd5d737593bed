// The one schema of a report: what a run has written comes back as it was, from the bus and from the table.
import { describe, expect, it } from 'vitest';
import {
  type PrunedResource,
  parseReport,
  type ReportMember,
  type RunReport,
} from '../../functions/contract/report.ts';
import { sampleReport } from './sample-report.ts';

const member: Required<ReportMember> = {
  id: '8e9e05c52164694d',
  name: 'cp-1',
  endpoint: 'https://10.0.0.11:2379',
  version: '3.5.30',
  isLeader: true,
  isLearner: false,
  quotaBytes: 'none',
  before: { dbSize: 4, dbSizeInUse: 2, alarms: ['NOSPACE'] },
  after: { dbSize: 3, dbSizeInUse: 2, alarms: [] },
  defragmented: true,
  durationMs: 12,
  note: 'left alone',
};
const pruned: Required<PrunedResource> = {
  resource: 'vulnerabilityreports.aquasecurity.github.io',
  listed: 9,
  stale: 5,
  deleted: 3,
  skipped: 1,
  missing: 1,
  directly: true,
  refused: true,
  reasons: { 'owner-gone': 5 },
  held: { 'owner-gone': 2 },
  kept: { 'owner-unknown': 4 },
  staleBytes: 4_096,
  note: 'stopped',
};
const contents: RunReport['contents'] = {
  bytes: 4_096,
  at: '2026-03-01T02:30:00.000Z',
  isCompacted: true,
  revision: '7',
  keys: 1,
  liveBytes: 10,
  revisions: 2,
  historyBytes: 20,
  versions: 9,
  freeBytes: 30,
  kinds: [
    {
      resource: 'pods',
      keys: 1,
      liveBytes: 10,
      revisions: 2,
      historyBytes: 20,
      versions: 9,
      namespaces: 1,
      largest: [{ namespace: 'a', bytes: 30 }],
      growth: { keysPerDay: 1, liveBytesPerDay: -5, writesPerMinute: 0.5, since: '2026-02-28T02:30:00.000Z' },
      writers: { writes: 3, encrypted: 1, managers: [{ manager: 'kubelet', writes: 2 }] },
    },
  ],
  otherKinds: 3,
  earlier: { at: '2026-02-28T02:30:00.000Z', revisionsPerMinute: 7 },
};
const report: Required<RunReport> = {
  ...sampleReport({ trigger: { kind: 'schedule', source: 'x'.repeat(600), at: '2026-03-01', rehearsal: true } }),
  members: [member],
  plan: [{ name: 'compact', detail: 'to revision 7' }],
  pruned: [pruned],
  snapshot: {
    object: 's3://backups/demo/1.db',
    bytes: 4_128,
    memberId: '1',
    proven: true,
    proof: 'by HashKV of cp-1',
    contentHash: { revision: '7', hash: '0badcafe', compactRevision: '-1' },
  },
  contents,
  lastNight: contents,
  raise: { 'vulnerabilityreports.aquasecurity.github.io': { maxStaleShare: 1, maxDeletes: 5 } },
  canWait: true,
  unavailable: 'kubernetes',
};

describe('a report that is read back', () => {
  it('has lost nothing', () => {
    expect(parseReport(JSON.parse(JSON.stringify(report)), 'report')).toEqual(report);
  });

  it('is passed on without what a newer version has added', () => {
    const newer = { ...report, mood: 'good', members: [{ ...member, mood: 'good' }] };

    expect(parseReport(newer, 'report')).toEqual(report);
  });

  it.each([
    [{ outcome: 'perfect' }, 'outcome: found "perfect", expected "recovered" or '],
    [{ workflow: 'reboot' }, 'workflow: found "reboot", expected "recover" or '],
    [{ startedAt: 'yesterday' }, 'startedAt: found "yesterday", expected a time in ISO 8601'],
    [
      { members: [{ ...member, quotaBytes: 'much' }] },
      'members[0].quotaBytes: found "much", expected bytes, "none" or',
    ],
  ])('is refused with %j', (changes, problem) => {
    expect(() => parseReport({ ...report, ...changes }, 'report')).toThrow(problem);
  });
});
