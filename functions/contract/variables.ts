// How a function reads one variable of its environment, and what it says where that is missing or no JSON.
import { InvalidInputError, SetupError } from './errors.ts';

/** `process.env`, or what stands for it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Undefined where it is not set. An empty variable counts as none: that is what an unset CloudFormation parameter
 * leaves behind.
 */
export function given(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

/** @throws SetupError where it is not set */
export function required(env: Environment, name: string): string {
  const value = given(env, name);
  if (value !== undefined) return value;
  throw new SetupError(
    `environment variable ${name}: found nothing. Deploy the stack again: it sets what its functions need`,
  );
}

/** @throws SetupError where it is not set, InvalidInputError where it is no JSON */
export function requiredJson(env: Environment, name: string): unknown {
  const text = required(env, name);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(name, ['(the whole document): found text that is not JSON'], { cause });
  }
}

export function isInLambda(env: Environment): boolean {
  return given(env, 'AWS_LAMBDA_FUNCTION_NAME') !== undefined;
}
