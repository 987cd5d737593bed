import { defineConfig } from 'vitest/config';
import { DEPLOYED } from './vitest.deployed.config.ts';
import { SCENARIOS } from './vitest.scenarios.config.ts';
import { STAND_INS } from './vitest.stand-ins.config.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Suites of their own, so that this one stays below five minutes.
    exclude: ['test/chaos/**', 'test/scale/**', 'test/browser/**', ...DEPLOYED, ...SCENARIOS, ...STAND_INS],
    // Real etcd members share two cores with the tests. Much of it is waiting; more files at once only make members time out.
    maxWorkers: 3,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default'],
  },
});
