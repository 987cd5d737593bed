import { defineConfig } from 'vitest/config';

/** What is deployed, as it is deployed: the bundles, their licences, the roles' permissions, and no secret in anything that leaves. */
export const DEPLOYED = [
  'test/bundle/**/*.test.ts',
  'test/permissions/**/*.test.ts',
  'test/secrets/**/*.test.ts',
  'test/lib/bundling.test.ts',
  'test/lib/licences.test.ts',
];

export default defineConfig({
  test: {
    include: DEPLOYED,
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default'],
  },
});
