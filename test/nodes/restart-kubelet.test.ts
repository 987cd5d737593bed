import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restartKubeletOutput } from '../../functions/nodes/outputs.ts';
import { restartKubeletDocument } from '../../lib/documents/document-content.ts';
import { type FolderNode, folderNode, runDocument, WORKING_SYSTEMCTL } from './scripts.ts';

/** Shows these properties, the restart included. */
const showing = (...properties: readonly string[]) => `
case "$1" in show) printf '%s\\n' ${properties.map((each) => `'${each}'`).join(' ')} ;; esac`;

describe.concurrent('restart-kubelet.sh', () => {
  it('restarts the unit and says that it runs, in one line', async ({ expect }) => {
    await using node = await folderNode();
    await node.program('systemctl', WORKING_SYSTEMCTL);
    const before = Date.now();

    const { exitCode, stdout, stderr } = await runDocument(node, restartKubeletDocument(), { KubeletUnit: 'kubelet' });

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^[^\n]+\n$/);
    const output = restartKubeletOutput.parse(JSON.parse(stdout));
    expect(output).toMatchObject({ unit: 'kubelet', activeState: 'active', subState: 'running', mainPid: 101 });
    expect(Date.parse(output.restartedAt)).toBeGreaterThan(before - 2_000);
    expect(await node.calls()).toContain('systemctl restart -- kubelet');
  });

  it('takes a unit that starts until etcd answers as one that runs', async ({ expect }) => {
    await using node = await folderNode();
    await node.program(
      'systemctl',
      showing('LoadState=loaded', 'ActiveState=activating', 'SubState=start', 'MainPID=7'),
    );

    const { exitCode, stdout } = await runDocument(node, restartKubeletDocument(), { KubeletUnit: 'rke2-server' });

    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ unit: 'rke2-server', activeState: 'activating', subState: 'start' });
  });

  it('waits for a kubelet that needs a second start', async ({ expect }) => {
    await using node = await folderNode();
    await node.program(
      'systemctl',
      `case "$1" in show)
         echo LoadState=loaded
         n=$(cat "$HERE/n" 2>/dev/null || echo 0); echo $((n + 1)) > "$HERE/n"
         if [ "$n" -lt 3 ]; then printf 'ActiveState=activating\\nSubState=auto-restart\\nMainPID=0\\n'
         else printf 'ActiveState=active\\nSubState=running\\nMainPID=42\\n'; fi ;;
       esac`,
    );

    const { stdout } = await runDocument(node, restartKubeletDocument());

    expect(JSON.parse(stdout)).toMatchObject({ activeState: 'active', mainPid: 42 });
  });

  it('does not take a kubelet that dies and comes up again and again as one that runs', async ({ expect }) => {
    await using node = await folderNode();
    // Active at every look, but never the same process.
    await node.program(
      'systemctl',
      `case "$1" in show) n=$(cat "$HERE/n" 2>/dev/null || echo 0); echo $((n + 1)) > "$HERE/n"
         printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=%s\\n' "$((n + 1))" ;; esac`,
    );
    await node.program('sleep', '');

    const { exitCode, stdout } = await runDocument(node, restartKubeletDocument());

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      error: 'unit kubelet did not come up in 20 seconds: it is active (running)',
    });
  });
});

describe('restart-kubelet.sh fails with one line of JSON', () => {
  let node: FolderNode;

  beforeEach(async () => {
    node = await folderNode();
  });
  afterEach(() => node[Symbol.asyncDispose]());

  it.each([
    {
      when: 'the unit is not known',
      systemctl: showing('LoadState=not-found', 'ActiveState=inactive', 'SubState=dead', 'MainPID=0'),
      error: 'unit kubelet: systemd says it is not-found on this node',
      restarted: false,
    },
    {
      when: 'systemd does not answer',
      systemctl: 'echo "Failed to connect to bus" >&2; exit 1',
      error: 'unit kubelet: systemd says it is unknown on this node',
      restarted: false,
    },
    {
      when: 'the restart fails',
      systemctl: `${showing('LoadState=loaded', 'ActiveState=active', 'SubState=running', 'MainPID=1')}
        case "$1" in restart) printf 'Job for "kubelet" failed\\n\\tsee log' >&2; exit 1 ;; esac`,
      error: 'unit kubelet could not be restarted: Job for "kubelet" failed\n\tsee log',
      restarted: true,
    },
    {
      when: 'the kubelet does not come back',
      systemctl: showing('LoadState=loaded', 'ActiveState=failed', 'SubState=failed', 'MainPID=0'),
      error: 'unit kubelet did not come up in 20 seconds: it is failed (failed)',
      restarted: true,
    },
  ])('when $when', async ({ systemctl, error, restarted }) => {
    await node.program('systemctl', systemctl);
    await node.program('sleep', '');

    const { exitCode, stdout } = await runDocument(node, restartKubeletDocument());

    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^[^\n]+\n$/);
    expect(JSON.parse(stdout)).toEqual({ error });
    expect((await node.calls()).includes('systemctl restart -- kubelet')).toBe(restarted);
  });

  it('when the agent is too old to hand over parameters', async () => {
    await node.program('systemctl', WORKING_SYSTEMCTL);
    const content = restartKubeletDocument();

    const { exitCode, stdout } = await runDocument(node, { ...content, parameters: {} });

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout).error).toContain('SSM Agent 3.3.2746.0');
    expect(await node.calls()).toEqual([]);
  });
});
