// Downloads and unpacks packages of Debian with a private apt state, as any user, leaving the machine's alone.
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianMirror } from './apt-sources.ts';

export interface Download {
  /** Upstream's: `3.5.30`. */
  readonly version: string;
  /** Take the newest of the first source that has any, if that version isn't there. */
  readonly orNewest: boolean;
  /** An empty folder; the packages' files end up in `root/` of it. */
  readonly into: string;
  readonly onProgress: (message: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface PackagesDownload extends Download {
  /** All of the same package version; the first one's name stands for them in messages. */
  readonly packages: readonly string[];
  /** Where to look first, so that one suite's index is fetched (about 9 MB) and not all of them. */
  readonly firstSuite: string;
}

/** Where each version of etcd is. */
const SUITE_OF: Readonly<Record<string, string>> = { '3.4.23': 'bookworm', '3.5.16': 'trixie', '3.5.30': 'sid' };
const SUITES = ['bookworm', 'trixie', 'sid'];
const DEBIAN_MIRROR = 'http://deb.debian.org/debian';
/** Newer Debian renames it; on Ubuntu neither is there. */
const DEBIAN_KEYRINGS = ['gpg', 'pgp'].map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`);
const ETCD_PACKAGES = ['etcd-server', 'etcd-client'];

interface Source {
  readonly description: string;
  /** One line of a sources.list; undefined: the machine's own sources. */
  readonly line: string | undefined;
}

/** @throws Error with what the last source tried answered */
export async function downloadEtcd(download: Download): Promise<void> {
  await downloadPackages({ ...download, packages: ETCD_PACKAGES, firstSuite: SUITE_OF[download.version] ?? 'sid' });
}

/** @throws Error with what the last source tried answered */
export async function downloadPackages(download: PackagesDownload): Promise<void> {
  const { packages, version, orNewest, into, onProgress, environment, firstSuite } = download;
  const what = `${packages[0]} ${version}`.trim();
  const problems: string[] = [];
  for (const [index, source] of (await sources(firstSuite)).entries()) {
    const apt = await privateApt(join(into, `apt-${index}`), source, environment);
    try {
      onProgress(`looking for ${what} in ${source.description}`);
      await apt('apt-get', ['update', '-qq']);
      const found = choose((await apt('apt-cache', ['madison', ...packages])).stdout, packages, version, orNewest);
      if (!found) {
        problems.push(`${source.description} has no ${what}`);
        continue;
      }
      onProgress(`downloading ${packages[0]} ${found} from ${source.description}`);
      const folder = join(into, `packages-${index}`);
      await mkdir(folder);
      await apt('apt-get', ['download', '-qq', ...packages.map((name) => `${name}=${found}`)], folder);
      for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb'))) {
        await run('dpkg-deb', ['-x', join(folder, file), join(into, 'root')], { environment });
      }
      return;
    } catch (error) {
      if (isMissing(error)) throw new Error('apt-get or dpkg-deb is missing', { cause: error });
      problems.push(`${source.description}: ${lastLine(error)}`);
    }
  }
  throw new Error(problems.join('; '));
}

/** Newest first, as the first one that has anything is taken where any version will do. */
async function sources(firstSuite: string): Promise<Source[]> {
  const keyring = await firstOf(DEBIAN_KEYRINGS);
  const list: Source[] = [];
  if (keyring) {
    const suites = [...new Set([firstSuite, ...[...SUITES].reverse()])];
    const mirrors = [...new Set([(await debianMirror()) ?? DEBIAN_MIRROR, DEBIAN_MIRROR])];
    for (const suite of suites) {
      for (const mirror of mirrors) {
        list.push({ description: `Debian ${suite}`, line: `deb [signed-by=${keyring}] ${mirror} ${suite} main` });
      }
    }
  }
  list.push({ description: "this machine's own apt sources", line: undefined });
  return list;
}

type Apt = (
  command: 'apt-get' | 'apt-cache',
  args: readonly string[],
  directory?: string,
) => Promise<{ stdout: string; stderr: string }>;

async function privateApt(folder: string, source: Source, environment: Download['environment']): Promise<Apt> {
  await mkdir(join(folder, 'lists/partial'), { recursive: true });
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
  const settings: Record<string, string> = {
    'Dir::State': folder,
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    // As root, apt would go on as user _apt, who can't write here.
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  };
  if (source.line !== undefined) {
    const file = join(folder, 'sources.list');
    await writeFile(file, `${source.line}\n`);
    settings['Dir::Etc::SourceList'] = file;
    settings['Dir::Etc::SourceParts'] = '/dev/null';
    // Otherwise an index that can't be fetched is a warning; among the machine's own sources a dead one doesn't matter.
    settings['APT::Update::Error-Mode'] = 'any';
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return (command, args, directory) => run(command, [...options, ...args], { environment, directory });
}

function run(
  command: string,
  args: readonly string[],
  { environment, directory }: { environment: Download['environment']; directory?: string | undefined },
) {
  return promisify(execFile)(command, [...args], {
    ...(directory && { cwd: directory }),
    // Its messages are read.
    env: { ...environment, LC_ALL: 'C.UTF-8' },
    maxBuffer: 16 * 1024 * 1024,
  });
}

/**
 * From `apt-cache madison` (`etcd-server | 3.5.30-2 | …`, newest first): the package version that all packages have.
 */
function choose(madison: string, packages: readonly string[], version: string, orNewest: boolean): string | undefined {
  const rows = madison.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const [first = [], ...others] = packages.map((name) => rows.filter((row) => row[0] === name).map((row) => row[1]));
  const all = first.filter((each) => each !== undefined && others.every((versions) => versions.includes(each)));
  return all.find((each) => upstream(each ?? '') === version) ?? (orNewest ? all[0] : undefined);
}

/** `1:3.4.23+dfsg-4+b4` -> `3.4.23` */
function upstream(packageVersion: string): string | undefined {
  return /^(?:\d+:)?(\d+\.\d+\.\d+)/.exec(packageVersion)?.[1];
}

async function firstOf(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (there) return file;
  }
  return undefined;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Of what a command wrote before it failed, apt's own summary of it. */
function lastLine(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  const lines = text.split('\n').filter(Boolean);
  return lines.find((line) => line.startsWith('E:')) ?? lines.at(-1) ?? 'failed and said nothing';
}
