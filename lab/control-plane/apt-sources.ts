// Reads the machine's own apt sources, so that a fetch goes to the mirror that this machine is meant to use.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The URI of the Debian archive in /etc/apt, from one-line (`*.list`) and deb822 (`*.sources`) files.
 * @returns undefined where this isn't a Debian, or none of its sources is Debian's main archive
 */
export async function debianMirror(folder = '/etc/apt', osRelease = '/etc/os-release'): Promise<string | undefined> {
  const system = await read(osRelease);
  if (!/^ID="?debian"?$/m.test(system)) return undefined;
  const codename = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(system)?.[1];
  const parts = join(folder, 'sources.list.d');
  const names = await readdir(parts).catch(() => []);
  const texts = await Promise.all(
    [join(folder, 'sources.list'), ...names.map((name) => join(parts, name))].map(async (file) => ({
      text: await read(file),
      deb822: file.endsWith('.sources'),
      read: /\.(list|sources)$/.test(file),
    })),
  );
  return texts
    .filter((file) => file.read)
    .flatMap(({ text, deb822 }) => (deb822 ? stanzas(text) : lines(text)))
    .find(
      ({ suites, components }) =>
        components.includes('main') && suites.some((suite) => [codename, 'sid', 'unstable', 'stable'].includes(suite)),
    )?.uri;
}

interface Entry {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** `deb [options] URI suite component…` */
function lines(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const [, uri, suite, components] = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line) ?? [];
    return uri && suite && components ? [{ uri, suites: [suite], components: components.trim().split(/\s+/) }] : [];
  });
}

/** Fields of a stanza may go on in indented lines; `#` lines may stand in between. */
function stanzas(text: string): Entry[] {
  const clean = text.replace(/^#.*\n?/gm, '');
  return clean.split(/\n\s*\n/).flatMap((stanza) => {
    const words = (name: string) =>
      new RegExp(`^${name}:((?:.*)(?:\\n[ \\t]+.*)*)`, 'im').exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
    const uri = words('URIs')[0];
    if (!uri || !words('Types').includes('deb') || words('Enabled')[0] === 'no') return [];
    return [{ uri, suites: words('Suites'), components: words('Components') }];
  });
}

async function read(file: string): Promise<string> {
  // Not there, or not for this user: then this file says nothing about the mirror, and the default one is used.
  return readFile(file, 'utf8').catch(() => '');
}
