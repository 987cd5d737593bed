// A folder that stands for a node, with programs of our own before the machine's, and the documents' scripts run on it.
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SsmNode } from '../../lab/aws/ssm-node.ts';
import { type ScriptEnd, scriptRunner } from '../../lab/aws/ssm-script.ts';
import type { DocumentContent } from '../../lib/documents/document-content.ts';

export interface FolderNode extends SsmNode, AsyncDisposable {
  /** Where the script sees `/`. */
  readonly root: string;
  /** Puts a shell script before the machine's program of that name. */
  program(name: string, script: string): Promise<void>;
  /** @param path as the node sees it, from `/` */
  file(path: string, content: string | Buffer): Promise<void>;
  /** How its programs were called, one line a call: `systemctl restart -- kubelet`. */
  calls(): Promise<readonly string[]>;
}

const MACHINE_PATH = '/usr/bin:/bin';

/** A kubelet that runs and can be restarted: its process id counts the restarts. */
export const WORKING_SYSTEMCTL = `
count="$HERE/restarts"; [ -f "$count" ] || echo 100 > "$count"
case "$1" in
  restart) echo $(($(cat "$count") + 1)) > "$count" ;;
  show) printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=%s\\n' "$(cat "$count")" ;;
esac`;

export async function folderNode({ instanceId = 'i-0a1b2c3d4e5f60718', ...rest } = {}): Promise<FolderNode> {
  const folder = await mkdtemp(join(tmpdir(), 'etcd medic node-'));
  const [bin, root, log] = [join(folder, 'bin'), join(folder, 'root'), join(folder, 'calls')];
  await mkdir(bin);
  await mkdir(root);
  return {
    instanceId,
    ipAddress: '10.0.0.11',
    computerName: 'cp-1.example.internal',
    tags: { cluster: 'demo' },
    pingStatus: 'Online',
    path: `${bin}:${MACHINE_PATH}`,
    environment: { ETCD_MEDIC_ROOT: root },
    workingDirectory: folder,
    ...rest,
    root,
    program: async (name, script) => {
      const file = join(bin, name);
      await writeFile(file, `#!/bin/sh\nHERE='${folder}'\nprintf '%s\\n' "${name} $*" >> '${log}'\n${script}\n`);
      await chmod(file, 0o755);
    },
    file: async (path, content) => {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    },
    calls: async () => (await readFile(log, 'utf8').catch(() => '')).split('\n').filter(Boolean),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Runs it as the agent does, with the document's defaults for what is left out. */
export async function runDocument(
  node: SsmNode,
  content: DocumentContent,
  parameters: Readonly<Record<string, string>> = {},
): Promise<ScriptEnd> {
  await using runner = await scriptRunner();
  const defaults = Object.entries(content.parameters).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value]],
  );
  return await runner.run(node, content, { ...Object.fromEntries(defaults), ...parameters });
}
