// What a suite's JSON report of vitest says: prints "PASSED FAILED", and adds to a file what failed and why, a
// paragraph each.

import { appendFileSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { z } from 'zod';

const LONGEST_MESSAGE = 2_000;

const Report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

const [reportFile = '', failuresFile = ''] = process.argv.slice(2);
const { numPassedTests, numFailedTests, testResults } = Report.parse(JSON.parse(readFileSync(reportFile, 'utf8')));
for (const { name, status, message, assertionResults } of testResults) {
  const file = relative(process.cwd(), name);
  const failed = assertionResults.filter((test) => test.status === 'failed');
  for (const test of failed) add(`${file} > ${test.fullName}`, test.failureMessages?.join('\n') ?? '');
  if (status === 'failed' && failed.length === 0) add(file, message || 'outside of its tests, in a hook');
}
console.log(numPassedTests, numFailedTests);

function add(what: string, why: string): void {
  appendFileSync(failuresFile, `FAILED ${what}\n${why.slice(0, LONGEST_MESSAGE)}\n\n`);
}
