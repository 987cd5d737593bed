// What an SSM agent does with a document before any script runs: it reads the patterns with Go's regexp, and checks
// every value once more.
import { RE2JS } from 're2js';
import type { DocumentContent } from '../../lib/documents/document-content.ts';

/** What the stand-in's nodes run where a test says nothing else. */
export const AGENT_VERSION = '3.3.3050.0';

/**
 * agent/framework/docparser/paramvalidator/allowedregexparamvalidator: `regexp.Compile`, and `MatchString` for each
 * value. re2js is a port of that parser; where Go is on this machine, the tests of the documents' patterns hold the two
 * against each other.
 * @returns what the agent writes into its own log and tells nobody; undefined: it goes on
 */
export function agentRefuses(
  { parameters }: DocumentContent,
  values: Readonly<Record<string, string>>,
): string | undefined {
  for (const [name, { allowedPattern }] of Object.entries(parameters)) {
    try {
      if (
        RE2JS.compile(allowedPattern)
          .matcher(values[name] ?? '')
          .find()
      )
        continue;
    } catch (error) {
      return `encountered error while compiling allowed pattern: ${error instanceof Error ? error.message : error}`;
    }
    return `parameter value /${values[name]}/ does not match the allowed pattern /${allowedPattern}/`;
  }
  return undefined;
}

/** The first that sets `SSM_<name>`; those before run the script without any. */
const FIRST_WITH_VARIABLES = [3, 3, 2746, 0];

/** @returns what the script finds in its environment */
export function handedOver(
  agentVersion: string | undefined,
  values: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const numbers = (agentVersion ?? AGENT_VERSION).split('.').map(Number);
  const order = FIRST_WITH_VARIABLES.map((number, i) => (numbers[i] ?? 0) - number).find((by) => by !== 0) ?? 0;
  return order < 0 ? {} : values;
}
