// What is wrong in a configuration, in words that say what to write instead.
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { oldSpellings } from '../../functions/contract/spellings.ts';

const cluster = (etcd: Readonly<Record<string, unknown>>) => ({
  name: 'demo',
  etcd: { endpoints: ['https://10.0.0.11:2379'], credentials: { secretArn: 'arn:aws:secretsmanager:x' }, ...etcd },
});

describe('a configuration', () => {
  it.each([
    ['8G', 'etcd.quotaBytes: found "8G", expected a number of bytes, without quotes and unit: 8589934592 is 8 GiB'],
    ['8GiB', 'etcd.quotaBytes: found "8GiB", expected a number of bytes, without quotes and unit: 8589934592 is 8 GiB'],
    ['512 MB', 'expected a number of bytes, without quotes and unit: 536870912 is 512 MiB'],
    [
      '2147483648',
      'etcd.quotaBytes: found "2147483648", expected a number of bytes, without quotes and unit: 2147483648',
    ],
    ['plenty', 'etcd.quotaBytes: found "plenty", expected a number of bytes, such as 8589934592 for 8 GiB'],
    [true, 'etcd.quotaBytes: found true, expected a number of bytes, such as 8589934592 for 8 GiB'],
    [0, 'etcd.quotaBytes: found 0, expected more than 0 bytes'],
  ])('with the quota %j says what to write instead', (quotaBytes, message) => {
    expect(() => parseCluster(cluster({ quotaBytes }))).toThrow(message);
  });

  it.each([
    [
      'https://10.0.0.11',
      'etcd.endpoints[0]: found "https://10.0.0.11", expected its port, too (https://10.0.0.11:2379 as a rule): without one 443 would be tried',
    ],
    [
      'http://[fd00::11]/',
      'etcd.endpoints[0]: found "http://[fd00::11]/", expected its port, too (http://[fd00::11]:2379 as a rule): without one 80 would be tried',
    ],
    ['10.0.0.11:2379', 'expected a client URL such as https://10.0.0.1:2379'],
  ])('with the client URL %s says what to write instead', (endpoint, message) => {
    expect(() => parseCluster(cluster({ endpoints: [endpoint] }))).toThrow(message);
  });

  it('may name the port that a URL means by itself, where etcd is really behind it', () => {
    const { etcd } = parseCluster(cluster({ endpoints: ['https://etcd.example.com:443', 'https://[fd00::11]:2379/'] }));

    expect(etcd.endpoints).toEqual(['https://etcd.example.com:443', 'https://[fd00::11]:2379/']);
  });

  it('reads the thresholds by the names that they had, as by those that they have', () => {
    const old = { freeShare: 0.3, reclaimBytes: 1_000, usageShare: 0.7, stallSeconds: 30 };
    const now = { freeShareAbove: 0.3, minReclaimBytes: 1_000, quotaShareAbove: 0.7, maxStallSeconds: 30 };

    const [before, after] = [old, now].map((maintain) => parseCluster({ ...cluster({}), maintain }));

    expect(before).toEqual(after);
    expect(before?.maintain).toMatchObject(now);
    // What a function finds in its environment is what was read before.
    expect(parseCluster(before)).toEqual(before);
  });

  it('says what is written by an old name, and nothing of what is not', () => {
    const maintain = { usageShare: 0.7, minReclaimBytes: 1_000 };

    expect(oldSpellings({ ...cluster({}), maintain })).toEqual([
      'maintain.usageShare is called maintain.quotaShareAbove now; it is read as before',
    ]);
    expect(oldSpellings(cluster({}))).toEqual([]);
  });

  it.each([
    [
      { usageShare: 0.7, quotaShareAbove: 0.8 },
      'maintain.usageShare: found 0.7, expected one of both: it is quotaShareAbove by its old name',
    ],
    [{ usageShare: 7 }, 'maintain.usageShare: found 7, expected at most 1'],
    [{ quotaShareAbove: 7 }, 'maintain.quotaShareAbove: found 7, expected at most 1'],
  ])('with the thresholds %j says which is wrong', (maintain, message) => {
    expect(() => parseCluster({ ...cluster({}), maintain })).toThrow(message);
  });
});
