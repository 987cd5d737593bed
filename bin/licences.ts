// `npm run licences`: looks at whose code is in the functions, writes docs/third-party.md, and fails on what must not
// be delivered.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deliveredParties, PAGE, pageOf, problemsOf, readLock } from '../lib/third-party-page.ts';

const parties = await deliveredParties();
await writeFile(PAGE, pageOf(parties));
console.log(`${path.relative(process.cwd(), PAGE)}: ${parties.length} packages`);
for (const problem of problemsOf(parties, await readLock())) {
  console.error(problem);
  process.exitCode = 1;
}
