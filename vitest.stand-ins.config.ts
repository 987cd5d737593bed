import { defineConfig } from 'vitest/config';

/**
 * What the other tests stand on: the control plane with its kubelets, probes and network, and the stand-ins of AWS; and what runs a
 * function here in Lambda's place, by hand or to measure it.
 */
export const STAND_INS = [
  'test/bench/**/*.test.ts',
  'test/bin/**/*.test.ts',
  'test/control-plane/**/*.test.ts',
  'test/lab/aws/lambda-stand-in.test.ts',
];

export default defineConfig({
  test: {
    include: STAND_INS,
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default'],
  },
});
