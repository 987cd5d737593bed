import { defineConfig } from 'vitest/config';

/**
 * What others do to a cluster while we are at work, and what real servers of five versions do that a lab would not: addresses that lead
 * elsewhere, somebody else's defragmentation or backup, rights that are missing, names as people give them, objects that can't be decoded,
 * the runbook's commands typed for real.
 */
export const SCENARIOS = [
  'test/docs/runbook-commands.test.ts',
  'test/etcd/{client-http-urls,keyspace}.test.ts',
  'test/prune/unreadable.test.ts',
  'test/recover/{names,never-started,rights,shared-address,somebody-defragments,streams}.test.ts',
];

export default defineConfig({
  test: {
    include: SCENARIOS,
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default'],
  },
});
