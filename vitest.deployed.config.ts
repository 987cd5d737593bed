import { defineConfig } from 'vitest/config';

/**
 * What is deployed, as it is deployed: the templates, the bundles, their licences, the roles' permissions, the SSM documents' scripts, the
 * certificates that are issued, and no secret in anything that leaves.
 */
export const DEPLOYED = [
  'test/bundle/**/*.test.ts',
  'test/credentials/**/*.test.ts',
  'test/lib/**/*.test.ts',
  'test/nodes/**/*.test.ts',
  'test/permissions/**/*.test.ts',
  'test/secrets/**/*.test.ts',
];

export default defineConfig({
  test: {
    include: DEPLOYED,
    maxWorkers: 3,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default'],
  },
});
