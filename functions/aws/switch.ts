// R16: the switch in Parameter Store by which a person turns a cluster to `observe` at once, without a deployment.
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import { describeNamedError } from '../contract/errors.ts';
import { withSsm } from './ssm.ts';

export interface Switch {
  /** `observe`: the run ends after *decide*. */
  readonly mode: 'auto' | 'observe';
  /** One sentence for the report. */
  readonly detail: string;
  /** True when the switch could not be understood or read, and the run stands still for that reason alone. */
  readonly isProblem: boolean;
  /** Parameter Store did not tell, so nobody knows what it says. */
  readonly isUnread?: true;
}

/**
 * A parameter that is not there is `auto`, since that is what whoever never made one expects, and the detail says so.
 * Whatever else is not `auto` is `observe`: rather stop than guess what a person meant. Never throws.
 */
export async function readSwitch({ parameterName }: { readonly parameterName: string }): Promise<Switch> {
  const where = `parameter ${parameterName}`;
  try {
    const value = await withSsm(async (client) => {
      const { Parameter } = await client.send(new GetParameterCommand({ Name: parameterName }));
      return Parameter?.Value?.trim() ?? '';
    });
    if (value === 'auto' || value === 'observe') {
      return { mode: value, detail: `${where} says ${value}`, isProblem: false };
    }
    const found = JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    return observe(`${where}: found ${found}, expected auto or observe, so nothing is changed`);
  } catch (error) {
    if (error instanceof Error && error.name === 'ParameterNotFound') {
      return { mode: 'auto', detail: `there is no ${where}, which means auto`, isProblem: false };
    }
    return {
      ...observe(`${where} could not be read, so nothing is changed: ${describeNamedError(error)}`),
      isUnread: true,
    };
  }
}

function observe(detail: string): Switch {
  return { mode: 'observe', detail, isProblem: true };
}

/** A person who turns the switch does not wait longer than this for the next change to be left out. */
const LOOK_AGAIN_MS = 15_000;
/** Where Parameter Store does not answer, each look takes seconds that a recovery does not have. */
const LOOK_AGAIN_AFTER_TROUBLE_MS = 5 * 60_000;

/**
 * The switch as it is looked at while a run is under way: to be called before every change, and inside of its step.
 * @returns why nothing more may be changed. Undefined: go on, also where the switch can't be read now, as the run began
 *   with `auto`
 */
export function switchWatch(parameterName: string): () => Promise<string | undefined> {
  let nextLookAtMs = 0;
  return async () => {
    if (Date.now() < nextLookAtMs) return undefined;
    const { mode, detail, isUnread = false } = await readSwitch({ parameterName });
    nextLookAtMs = Date.now() + (isUnread ? LOOK_AGAIN_AFTER_TROUBLE_MS : LOOK_AGAIN_MS);
    return mode === 'observe' && !isUnread ? detail : undefined;
  };
}
