import { defineConfig } from 'vitest/config';

// What needs a browser: the dashboard's widget as a person sees it. `npm run test:browser`; Debian's and Ubuntu's package is `chromium`.
export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default'],
  },
});
