import { defineConfig } from 'vitest/config';

// What takes minutes: every crash, every fault at every step. `npm run test:chaos`.
export default defineConfig({
  test: {
    include: ['test/chaos/**/*.test.ts'],
    // One at a time: what is tested here is time-critical, and two real cores are all there is.
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 120_000,
    reporters: ['default'],
  },
});
