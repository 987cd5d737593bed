// The files that a command line names: a cluster's configuration, and other JSON.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type ClusterConfiguration, parseCluster } from '../functions/contract/configuration.ts';
import { InvalidInputError } from '../functions/contract/errors.ts';
import { oldSpellings } from '../functions/contract/spellings.ts';

/** Relative file names in the configuration are relative to its own folder. */
export async function readConfiguration(file: string): Promise<ClusterConfiguration> {
  const written = await readJson(file);
  const configuration = parseCluster(written, file);
  for (const note of oldSpellings(written)) process.stderr.write(`${file}: ${note}\n`);
  const { etcd, kubernetes } = configuration;
  const folder = dirname(resolve(file));
  return {
    ...configuration,
    etcd: { ...etcd, ...(etcd.credentials && { credentials: withAbsoluteFiles(etcd.credentials, folder) }) },
    ...(kubernetes && {
      kubernetes: { ...kubernetes, credentials: withAbsoluteFiles(kubernetes.credentials, folder) },
    }),
  };
}

/** Fields that name files end in `File`; a secret has none. */
function withAbsoluteFiles<Credentials extends object>(credentials: Credentials, folder: string): Credentials {
  const absolute = Object.entries(credentials)
    .filter(([field]) => field.endsWith('File'))
    .map(([field, name]) => [field, resolve(folder, String(name))]);
  return { ...credentials, ...Object.fromEntries(absolute) };
}

export async function readJson(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new InvalidInputError(file, ['found no file that can be read, expected a JSON file'], { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(file, ['(the whole document): found text that is not JSON'], { cause });
  }
}
