import { defineConfig } from 'vitest/config';

// What needs tens of thousands of reports: minutes, and gigabytes of memory for the API server. `npm run test:scale`.
export default defineConfig({
  test: {
    include: ['test/scale/**/*.test.ts'],
    // One at a time: memory is measured here, and two real cores are all there is.
    maxWorkers: 1,
    testTimeout: 900_000,
    hookTimeout: 300_000,
    reporters: ['default'],
  },
});
