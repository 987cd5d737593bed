// What a /metrics page says beside the quota, on pages as etcd prints them.
import { describe, expect, it } from 'vitest';
import { isFeatureOn, parseRaftSnapshots } from '../../functions/etcd/metrics.ts';

const HEAD = '# HELP etcd_network_snapshot_send_inflights_total Total number of inflight snapshot sends';
const IDLE = 'etcd_server_snapshot_apply_in_progress_total 0';

describe('snapshots between members', () => {
  it.each([
    ['none there ever was', [IDLE], { sendingTo: [], takesOne: false }],
    [
      'one that has ended',
      [IDLE, 'etcd_network_snapshot_send_inflights_total{To="a1"} 0'],
      { sendingTo: [], takesOne: false },
    ],
    [
      'one to a member',
      [
        IDLE,
        'etcd_network_snapshot_send_inflights_total{To="a1"} 0',
        'etcd_network_snapshot_send_inflights_total{To="b2"} 1',
      ],
      { sendingTo: ['b2'], takesOne: false },
    ],
    [
      'one that comes in',
      [IDLE, 'etcd_network_snapshot_receive_inflights_total{From="a1"} 1'],
      { sendingTo: [], takesOne: true },
    ],
    ['one that is applied', ['etcd_server_snapshot_apply_in_progress_total 1'], { sendingTo: [], takesOne: true }],
  ])('R17: %s', (_what, lines, expected) => {
    expect(parseRaftSnapshots([HEAD, ...lines, ''].join('\n'))).toEqual(expected);
  });
});

describe('a feature gate', () => {
  it.each([
    ['etcd_server_feature_enabled{name="NonBlockingDefrag",stage="BETA"} 1', true],
    ['etcd_server_feature_enabled{name="NonBlockingDefrag",stage="BETA"} 0', false],
    ['etcd_server_feature_enabled{name="NotNonBlockingDefrag",stage="BETA"} 1', false],
    ['etcd_server_feature_enabled{name="CompactHashCheck",stage="ALPHA"} 1', false],
    ['', false],
  ])('R17: is on by the line %s: %s', (line, isOn) => {
    expect(isFeatureOn(`${line}\n`, 'NonBlockingDefrag')).toBe(isOn);
  });
});
