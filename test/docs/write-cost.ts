// Writes the table of docs/cost.md anew, after the stack or a price has changed:
//   node_modules/.bin/node test/docs/write-cost.ts
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../../lib/bundling.ts';
import { costOf, costTable } from './cost.ts';
import { deployedResources } from './example.ts';
import { readPage } from './page.ts';

const { file, text } = readPage('docs/cost.md');
const table = costTable(costOf(deployedResources()));
writeFileSync(
  path.join(projectRoot, file),
  text.replace(
    /(<!-- cost: .* -->\n)[\s\S]*?(<!-- \/cost -->)/,
    (_, begin: string, end: string) => `${begin}${table}\n${end}`,
  ),
);
