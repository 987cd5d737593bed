// The content of the SSM documents: a script of this folder as it is, and what may be given to it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { DocumentKind } from '../../functions/contract/documents.ts';
import { ABSOLUTE_PATH, UNIT_NAME } from '../../functions/contract/patterns.ts';

/** A Command document of schema 2.2, with one step that runs one script. */
export interface DocumentContent {
  readonly schemaVersion: '2.2';
  readonly description: string;
  readonly parameters: Readonly<Record<string, DocumentParameter>>;
  readonly mainSteps: readonly [RunShellScript];
}

export interface DocumentParameter {
  readonly type: 'String';
  readonly description: string;
  /**
   * Checked by SendCommand, and once more by the agent and by the script: functions/contract/patterns.ts says what it
   * may be made of.
   */
  readonly allowedPattern: string;
  /**
   * The agent sets `SSM_<name>` instead of writing the value into the script. Agents before 3.3.2746.0 don't know this:
   * the script then finds no variable and refuses to work.
   */
  readonly interpolationType: 'ENV_VAR';
  /** @default none: the sender must give one */
  readonly default?: string;
}

interface RunShellScript {
  readonly action: 'aws:runShellScript';
  readonly name: string;
  readonly precondition: { readonly StringEquals: readonly ['platformType', 'Linux'] };
  readonly inputs: {
    /** A number of seconds, as text: from then on the step is killed and `Execution Timed Out`. */
    readonly timeoutSeconds: string;
    /** The script's lines. */
    readonly runCommand: readonly string[];
  };
}

const kubeletUnit: DocumentParameter = {
  type: 'String',
  description: "The kubelet's systemd unit.",
  allowedPattern: UNIT_NAME,
  interpolationType: 'ENV_VAR',
  default: 'kubelet',
};

export function documentContent(kind: DocumentKind): DocumentContent {
  return kind === 'RestartKubelet' ? restartKubeletDocument() : inspectNodeDocument();
}

export function restartKubeletDocument(): DocumentContent {
  return {
    schemaVersion: '2.2',
    description:
      'etcd-medic: restarts the kubelet, so that the back-off of its crashing pods starts again from zero, and waits until it runs.',
    parameters: { KubeletUnit: kubeletUnit },
    // 10 s to look, 20 s to restart, 20 s to settle, with a slow systemd besides.
    mainSteps: [runScript('RestartKubelet', 'restart-kubelet.sh', 120)],
  };
}

export function inspectNodeDocument(): DocumentContent {
  return {
    schemaVersion: '2.2',
    description:
      "etcd-medic: looks at the disk under etcd's data, at the kubelet and at how etcd is run. Changes nothing.",
    parameters: {
      DataDir: {
        type: 'String',
        description: "etcd's data folder.",
        allowedPattern: ABSOLUTE_PATH,
        interpolationType: 'ENV_VAR',
        default: '/var/lib/etcd',
      },
      KubeletUnit: kubeletUnit,
      ManifestPath: {
        type: 'String',
        description: "etcd's static pod manifest. Where there is none, the answer says so.",
        allowedPattern: ABSOLUTE_PATH,
        interpolationType: 'ENV_VAR',
        default: '/etc/kubernetes/manifests/etcd.yaml',
      },
    },
    // Each of its commands has 10 to 15 s of its own.
    mainSteps: [runScript('InspectNode', 'inspect-node.sh', 60)],
  };
}

function runScript(name: string, file: string, timeoutSeconds: number): RunShellScript {
  return {
    action: 'aws:runShellScript',
    name,
    precondition: { StringEquals: ['platformType', 'Linux'] },
    inputs: {
      timeoutSeconds: String(timeoutSeconds),
      runCommand: readFileSync(path.join(import.meta.dirname, file), 'utf8')
        .trimEnd()
        .split('\n'),
    },
  };
}
