// What systemctl says about a simulated kubelet: the verbs, the exit codes and the words of the real one (systemd 252).
import type { Kubelet } from './kubelet.ts';
import type { CommandResult } from './shims.ts';

/** The unit's name on a node, without `.service`. */
const KUBELET_UNIT = 'kubelet';

const NOT_ACTIVE = 3;
const NO_SUCH_UNIT_TO_LOOK_AT = 4;
const NO_SUCH_UNIT = 5;
const SUB_STATES = { active: 'running', inactive: 'dead', failed: 'failed' } as const;

export function systemctl(kubelet: Kubelet, args: readonly string[]): CommandResult {
  const { verb, units, properties, valuesOnly, quiet } = parse(args);
  const [name = ''] = units;
  const unit = name.includes('.') ? name : `${name}.service`;
  const isKubelet = unit === `${KUBELET_UNIT}.service`;
  switch (verb) {
    case 'restart': {
      if (!isKubelet) {
        return { exitCode: NO_SUCH_UNIT, stderr: `Failed to restart ${unit}: Unit ${unit} not found.` };
      }
      if (kubelet.restart() !== 'failed') return { exitCode: 0 };
      const stderr = `Job for ${unit} failed because the control process exited with error code.
See "systemctl status ${unit}" and "journalctl -xeu ${unit}" for details.`;
      return { exitCode: 1, stderr };
    }
    case 'is-active': {
      const stdout = quiet ? '' : isKubelet ? kubelet.unit : 'inactive';
      const exitCode = isKubelet ? (kubelet.unit === 'active' ? 0 : NOT_ACTIVE) : NO_SUCH_UNIT_TO_LOOK_AT;
      return { exitCode, stdout };
    }
    case 'show': {
      // In systemd's own order, whatever the order they are asked for in.
      const lines = Object.entries(describe(unit, isKubelet ? kubelet : undefined))
        .filter(([property]) => properties.length === 0 || properties.includes(property))
        .map(([property, value]) => (valuesOnly ? value : `${property}=${value}`));
      return { exitCode: 0, stdout: lines.join('\n') };
    }
    default:
      return { exitCode: 1, stderr: `Unknown command verb ${verb}.` };
  }
}

interface Parsed {
  readonly verb: string;
  readonly units: readonly string[];
  readonly properties: readonly string[];
  readonly valuesOnly: boolean;
  readonly quiet: boolean;
}

function parse(args: readonly string[]): Parsed {
  const words: string[] = [];
  const properties: string[] = [];
  let onlyWords = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    const property = /^(?:-p|--property)=?(.*)$/.exec(arg);
    if (onlyWords || !arg.startsWith('-')) words.push(arg);
    else if (arg === '--') onlyWords = true;
    else if (property) properties.push(...(property[1] || (args[++i] ?? '')).split(','));
  }
  const [verb = '', ...units] = words;
  return {
    verb,
    units,
    properties,
    valuesOnly: args.includes('--value'),
    quiet: args.includes('--quiet') || args.includes('-q'),
  };
}

function describe(unit: string, kubelet: Kubelet | undefined): Readonly<Record<string, string | number>> {
  const state = kubelet?.unit ?? 'inactive';
  return {
    Type: 'simple',
    Restart: kubelet ? 'always' : 'no',
    MainPID: kubelet?.mainPid ?? 0,
    Id: unit,
    LoadState: kubelet ? 'loaded' : 'not-found',
    ActiveState: state,
    SubState: SUB_STATES[state],
  };
}
