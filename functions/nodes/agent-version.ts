// Whether a node's SSM agent is new enough for the documents.

/**
 * The first that sets a parameter as an environment variable where a document asks for it
 * (`interpolationType: ENV_VAR`).
 */
const OLDEST_AGENT = '3.3.2746.0';

/**
 * @param agentVersion as Systems Manager lists it; undefined: the agent never said
 * @returns what to say of an agent that is too old; undefined where it isn't, and where its version is not known or not
 *   understood
 */
export function agentTooOld(agentVersion: string | undefined): string | undefined {
  const given = numbersIn(agentVersion ?? '');
  if (given === undefined || !isBefore(given, numbersIn(OLDEST_AGENT) ?? [])) return undefined;
  return `its SSM agent ${agentVersion} is older than ${OLDEST_AGENT}, which the documents need`;
}

/** By numbers: `3.3.987.0` is older than `3.3.2746.0`, and `3.10.0.0` is newer. */
function isBefore(one: readonly number[], other: readonly number[]): boolean {
  const length = Math.max(one.length, other.length);
  const at = Array.from({ length }, (_, i) => i).find((i) => (one[i] ?? 0) !== (other[i] ?? 0));
  return at !== undefined && (one[at] ?? 0) < (other[at] ?? 0);
}

function numbersIn(version: string): readonly number[] | undefined {
  return /^\d{1,9}(\.\d{1,9})*$/.test(version) ? version.split('.').map(Number) : undefined;
}
