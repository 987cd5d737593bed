// `npm run sbom [file]`: writes a CycloneDX bill of materials of all production dependencies, in which those that are
// delivered say in which functions they are. npm makes it from what is installed.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod/mini';
import { validate } from '../functions/contract/validate.ts';
import { deliveredParties } from '../lib/third-party-page.ts';

const projectRoot = path.resolve(import.meta.dirname, '..');
const MiB = 1024 * 1024;

const property = z.object({ name: z.string(), value: z.string() });
const component = z.looseObject({
  name: z.string(),
  version: z.string(),
  properties: z._default(z.array(property), []),
});
const billSchema = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  metadata: z.looseObject({ component }),
  components: z.array(component),
});

const [, , file = 'sbom.cdx.json'] = process.argv;
const [{ stdout }, packageJson, parties] = await Promise.all([
  promisify(execFile)('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev'], {
    cwd: projectRoot,
    maxBuffer: 64 * MiB,
  }),
  readFile(path.join(projectRoot, 'package.json'), 'utf8'),
  deliveredParties(),
]);
const bill = validate(billSchema, JSON.parse(stdout), 'npm sbom');
const { name } = validate(z.object({ name: z.string() }), JSON.parse(packageJson), 'package.json');

const missing = new Map(parties.map((party) => [`${party.name}@${party.version}`, party.functions]));
const components = bill.components.map((each) => {
  const key = `${each.name}@${each.version}`;
  const functions = missing.get(key);
  missing.delete(key);
  if (functions === undefined) return each;
  return { ...each, properties: [...each.properties, { name: 'etcd-medic:functions', value: functions.join(' ') }] };
});
if (missing.size > 0) {
  throw new Error(`delivered, but not in npm's bill of materials of production: ${[...missing.keys()].join(', ')}`);
}
// npm calls the project by the folder that it lies in.
const metadata = { ...bill.metadata, component: { ...bill.metadata.component, name, type: 'application' } };
await writeFile(path.resolve(file), `${JSON.stringify({ ...bill, metadata, components }, null, 2)}\n`);
console.log(`${file}: ${components.length} components, ${parties.length} of them in the functions`);
