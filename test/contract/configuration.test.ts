// What is wrong in a configuration, in words that say what to write instead.
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';

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
});
