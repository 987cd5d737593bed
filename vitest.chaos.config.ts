import { defineConfig } from 'vitest/config';

/** A crash at every checkpoint: what takes its time, and whose time does not matter. */
const CRASHES = ['test/chaos/{crash,crash-pruning,maintain-crash}.test.ts'];
const AWAY = ['test/chaos/away.test.ts'];
const HICCUPS = ['test/chaos/hiccups/*.test.ts'];

// All take minutes, and real members.
const common = { testTimeout: 600_000, hookTimeout: 120_000 };

// Every crash, every fault at every step. `npm run test:chaos`.
export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      { test: { ...common, name: 'crashes', include: CRASHES, maxWorkers: 2, sequence: { groupOrder: 1 } } },
      // Each case is a process of its own that mostly waits: 13 s for a member, in real time.
      {
        test: {
          ...common,
          name: 'away',
          include: AWAY,
          maxWorkers: 1,
          maxConcurrency: 8,
          sequence: { groupOrder: 3 },
        },
      },
      // Dozens of runs each, that mostly wait: the trouble lasts for two seconds of real time. ETCD_MEDIC_EVERY_CALL=1 has many more.
      {
        test: {
          ...common,
          name: 'hiccups',
          include: HICCUPS,
          testTimeout: 1_800_000,
          maxWorkers: 3,
          sequence: { groupOrder: 4 },
        },
      },
      // One at a time: what is tested here is time-critical, and two real cores are all there is.
      {
        test: {
          ...common,
          name: 'faults',
          include: ['test/chaos/**/*.test.ts'],
          exclude: [...CRASHES, ...AWAY, ...HICCUPS],
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
