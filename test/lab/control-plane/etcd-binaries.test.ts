import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { debianMirror } from '../../../lab/control-plane/apt-sources.ts';
import { EtcdNotFoundError, findEtcd } from '../../../lab/control-plane/etcd-binaries.ts';
import { versionsHere } from '../../../lab/control-plane/etcd-versions.ts';
import { withFolderLock } from '../../../lab/control-plane/folder-lock.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'etcd medic test-'));
});

afterEach(() => rm(directory, { recursive: true }));

async function script(file: string, text: string): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
}

const says = (version: string) => `echo 'etcd Version: ${version}'`;

describe('findEtcd', () => {
  it('takes ETCD_BIN before PATH, be it a file or a folder, with the etcdctl beside it', async () => {
    await script(join(directory, 'chosen/etcd'), says('3.5.1'));
    await script(join(directory, 'chosen/etcdctl'), '');
    await script(join(directory, 'path/etcd'), says('3.5.2'));
    const PATH = join(directory, 'path');
    const chosen = join(directory, 'chosen');

    const file = await findEtcd(undefined, { environment: { PATH, ETCD_BIN: join(chosen, 'etcd') } });
    const folder = await findEtcd(undefined, { environment: { PATH, ETCD_BIN: chosen } });
    const path = await findEtcd(undefined, { environment: { PATH } });

    expect(file).toEqual({
      version: '3.5.1',
      etcd: join(chosen, 'etcd'),
      etcdctl: join(chosen, 'etcdctl'),
      etcdutl: undefined,
    });
    expect(folder).toEqual(file);
    expect(path.version).toBe('3.5.2');
  });

  it('takes the version that ETCD_VERSION says where none is asked for, and the newest of a line', async () => {
    const PATH = '';
    for (const version of ['3.4.23', '3.5.30', '3.6.16', '3.7.3']) {
      await script(join(directory, `etcd-${version}/usr/bin/etcd`), says(version));
    }
    const found = async (asked: string | undefined, ETCD_VERSION: string) => {
      const options = { environment: { PATH, ETCD_VERSION }, cacheDirectory: directory };
      return (await findEtcd(asked, options)).version;
    };

    expect(await found(undefined, '')).toBe('3.5.30');
    expect(await found(undefined, '3.6.16')).toBe('3.6.16');
    expect(await found('3.4.23', '3.6.16')).toBe('3.4.23');
    const lines = await Promise.all(['3.4', '3.5', '3.6', '3.7'].map((line) => found(line, '3.6.16')));
    expect(lines).toEqual(['3.4.23', '3.5.30', '3.6.16', '3.7.3']);
  });

  it('refuses an ETCD_BIN that does not run rather than take another etcd', async () => {
    const finding = findEtcd(undefined, { environment: { PATH: '/usr/bin', ETCD_BIN: join(directory, 'none') } });

    await expect(finding).rejects.toThrow(/ETCD_BIN is .*none, but no etcd that runs is there/);
  });

  it('says in one line what to do where it can neither find nor fetch one', async () => {
    const finding = findEtcd('3.5.16', { environment: { PATH: join(directory, 'empty') }, cacheDirectory: directory });

    const error = await finding.catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(EtcdNotFoundError);
    expect(String(error)).toMatch(/apt-get or dpkg-deb is missing.*apt-get install etcd-server etcd-client.*ETCD_BIN/);
    expect(String(error)).not.toContain('\n');
  });

  it('fetches once where several ask at the same time, and leaves nothing but what was fetched', async () => {
    const bin = join(directory, 'bin');
    const cacheDirectory = join(directory, 'cache');
    // A stand-in for Debian's archive, which tests can't rely on; everything of ours runs as it is.
    await script(
      join(bin, 'apt-get'),
      `case "$*" in *download*) echo fetched >> '${directory}/fetches'; : > etcd-server.deb ;; esac`,
    );
    await script(join(bin, 'apt-cache'), "echo 'etcd-server | 9.9.9-1 | x'; echo 'etcd-client | 9.9.9-1 | x'");
    await script(
      join(bin, 'dpkg-deb'),
      `mkdir -p "$3/usr/bin"; printf '#!/bin/sh\\n${says('9.9.9').replaceAll("'", '"')}\\n' > "$3/usr/bin/etcd"; chmod +x "$3/usr/bin/etcd"`,
    );
    const environment = { PATH: `${bin}:/usr/bin:/bin` };

    const found = await Promise.all([1, 2, 3].map(() => findEtcd('9.9.9', { environment, cacheDirectory })));

    expect(found.map(({ etcd }) => etcd)).toEqual(Array(3).fill(join(cacheDirectory, 'etcd-9.9.9/usr/bin/etcd')));
    expect(await readFile(join(directory, 'fetches'), 'utf8')).toBe('fetched\n');
    expect(await readdir(cacheDirectory)).toEqual(['etcd-9.9.9']);
  });
});

/** A stand-in for Go, which not every machine has: makes the binaries that `go build -o FOLDER/` would. */
const GO = `[ "$1 $GOWORK" = 'build off' ] || exit 2
echo built >> "$BUILDS"
while [ "$1" != -o ]; do shift; done
for name in etcd etcdctl etcdutl; do printf '#!/bin/sh\\necho etcd Version: 3.7.3\\n' > "$2$name"; chmod +x "$2$name"; done`;

describe('an etcd that Debian does not have', () => {
  it('is built once from its Go modules where several ask at the same time, and found again afterwards', async () => {
    const bin = join(directory, 'bin');
    const cacheDirectory = join(directory, 'cache');
    await script(join(bin, 'go'), GO);
    const environment = { PATH: `${bin}:/bin`, BUILDS: join(directory, 'builds') };
    const told: string[] = [];
    const options = { environment, cacheDirectory, onProgress: (line: string) => told.push(line) };

    const found = await Promise.all([1, 2, 3].map(() => findEtcd('3.7.3', options)));
    const again = await versionsHere(['3.5.30', '3.7.3'], { ...options, environment: { PATH: join(directory, 'no') } });

    expect(found.map(({ etcdutl }) => etcdutl)).toEqual(
      Array(3).fill(join(cacheDirectory, 'etcd-3.7.3/usr/bin/etcdutl')),
    );
    expect(await readFile(join(directory, 'builds'), 'utf8')).toBe('built\n');
    expect(await readdir(cacheDirectory)).toEqual(['etcd-3.7.3']);
    expect(told).toEqual([expect.stringContaining('building etcd 3.7.3 from its Go modules')]);
    expect(again).toEqual(['3.5.30', '3.7.3']);
  });

  it('is left out by name where there is no Go', async () => {
    const told: string[] = [];

    const versions = await versionsHere(['3.5.30', '3.6.16', '3.7.3'], {
      environment: { PATH: join(directory, 'empty') },
      cacheDirectory: directory,
      onProgress: (line) => told.push(line),
    });

    expect(versions).toEqual(['3.5.30']);
    expect(told).toEqual([
      expect.stringContaining('etcd 3.6.16 is LEFT OUT'),
      expect.stringContaining('etcd 3.7.3 is LEFT OUT'),
    ]);
  });

  it('fails with what Go said where the build fails', async () => {
    const bin = join(directory, 'bin');
    await script(join(bin, 'go'), 'echo "go.mod requires go >= 1.26.0" >&2; exit 1');

    const building = versionsHere(['3.7.3'], {
      environment: { PATH: `${bin}:/bin` },
      cacheDirectory: directory,
      onProgress: () => {},
    });

    await expect(building).rejects.toThrow(
      /etcd 3\.7\.3 is not on this machine and could not be built \(go build in lab\/servers\/etcd-3\.7\.3: .*go\.mod requires go >= 1\.26\.0\)/,
    );
  });
});

describe('withFolderLock', () => {
  it('lets one at a time in', async () => {
    const lock = join(directory, 'lock');
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside--;
    };

    await Promise.all([1, 2, 3, 4].map(() => withFolderLock(lock, work)));

    expect(most).toBe(1);
  });

  it('takes over a lock that nobody has touched for long', async () => {
    const lock = join(directory, 'lock');
    await mkdir(lock);
    await utimes(lock, new Date(0), new Date(0));

    const result = await withFolderLock(lock, async () => 'done');

    expect(result).toBe('done');
  });

  it('passes the error of the work on and frees the lock', async () => {
    const lock = join(directory, 'lock');
    const failing = withFolderLock(lock, () => Promise.reject(new Error('no network')));

    await expect(failing).rejects.toThrow('no network');
    await expect(withFolderLock(lock, async () => 'next')).resolves.toBe('next');
  });
});

describe('debianMirror', () => {
  const one = 'deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n';
  const deb822 = `Types: deb
# http://snapshot.example/
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
`;
  it.each([
    ['one-line', 'a.list', `deb http://security.example/debian-security bookworm-security main\n${one}`, true],
    ['deb822', 'a.sources', `Types: deb\nURIs: http://x.example\nSuites: other\nComponents: main\n\n${deb822}`, true],
    ['switched off', 'a.sources', `Enabled: no\n${deb822}`, false],
    ['not a source file', 'a.list.save', one, false],
    ['a comment', 'a.list', `# ${one}`, false],
  ])('reads %s sources', async (_, name, text, there) => {
    await mkdir(join(directory, 'sources.list.d'));
    await writeFile(join(directory, 'sources.list.d', name), text);
    const osRelease = join(directory, 'os-release');
    await writeFile(osRelease, 'ID=debian\nVERSION_CODENAME=bookworm\n');

    const mirror = await debianMirror(directory, osRelease);

    expect(mirror).toBe(there ? 'http://mirror.example/debian' : undefined);
  });
});
