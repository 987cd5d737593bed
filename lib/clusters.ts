// Reads the context `clusters`, and refuses at synth what a Lambda function could not work with later.

import { type ClusterConfiguration, parseClusters } from '../functions/contract/configuration.ts';
import { InvalidInputError } from '../functions/contract/errors.ts';
import { kindsToPrune } from '../functions/contract/kinds.ts';
import { oldSpellings } from '../functions/contract/spellings.ts';

const IN_CDK_JSON = 'cdk.json context "clusters"';
const ON_COMMAND_LINE = 'context "clusters" (-c clusters=…)';

/** Both go into the functions' permissions, where `*` and `${…}` would mean more than they say. */
const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+@-]+$/u;

/**
 * @param context the list as cdk.json has it, or its JSON text as `-c clusters='[…]'` gives it
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function readClusters(context: unknown): readonly ClusterConfiguration[] {
  const [list, source] = written(context);
  const clusters = parseClusters(list, source);
  const problems = [...clusters.flatMap(deploymentProblems), ...clashes(clusters)];
  if (problems.length > 0) throw new InvalidInputError(source, problems);
  return clusters;
}

/** For each cluster of a valid context, the sentences on what it has by an old name. */
export function notesOn(context: unknown): readonly (readonly string[])[] {
  const [list] = written(context);
  return Array.isArray(list) ? list.map(oldSpellings) : [];
}

function written(context: unknown): readonly [list: unknown, source: string] {
  return typeof context === 'string' ? [parseJson(context), ON_COMMAND_LINE] : [context, IN_CDK_JSON];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const found = text.length > 60 ? `${text.slice(0, 57)}…` : text;
    throw new InvalidInputError(
      ON_COMMAND_LINE,
      [`found ${JSON.stringify(found)}, which is not JSON (${String(cause)}), expected a list such as [{ "name": … }]`],
      { cause },
    );
  }
}

/** What the schema allows, because bin/invoke.ts can work with it on this machine, and a function in Lambda cannot. */
function deploymentProblems(cluster: ClusterConfiguration, index: number): string[] {
  const problems: string[] = [];
  for (const room of ['etcd', 'kubernetes'] as const) {
    const credentials = cluster[room]?.credentials;
    if (credentials && !('secretArn' in credentials) && !('issued' in credentials)) {
      problems.push(
        `[${index}].${room}.credentials: found files, expected { "secretArn" } or { "issued": true }, because a function in Lambda has no such files`,
      );
    }
  }
  const bucket = cluster.snapshot ? cluster.snapshot.bucket : undefined;
  if (bucket !== undefined && !BUCKET_NAME.test(bucket)) {
    problems.push(`[${index}].snapshot.bucket: found ${JSON.stringify(bucket)}, expected the name of an S3 bucket`);
  }
  for (const [part, text] of Object.entries(cluster.nodes?.tag ?? {})) {
    if (!TAG_TEXT.test(text)) {
      problems.push(
        `[${index}].nodes.tag.${part}: found ${JSON.stringify(text)}, expected letters, digits, blanks and _ . : / = + - @`,
      );
    }
  }
  try {
    kindsToPrune(cluster.prune.kinds);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    problems.push(...error.problems.map((problem) => `[${index}].${problem}`));
  }
  return problems;
}

/**
 * What there can be only one of, and the stack of a second cluster would make again: its deployment would fail. All of
 * an app's stacks are taken to go into one account and region.
 */
function clashes(clusters: readonly ClusterConfiguration[]): string[] {
  const made = new Map<string, number>();
  const claim = (thing: string, index: number, problem: (first: number) => string): string[] => {
    const first = made.get(thing);
    if (first !== undefined && first !== index) return [problem(first)];
    made.set(thing, index);
    return [];
  };
  return clusters.flatMap(({ console: { registry }, network }, index) => [
    ...(registry === 'create'
      ? claim(
          'registry',
          index,
          (first) =>
            `[${index}].console.registry: found "create", expected "existing", because there is one registry, which [${first}] makes`,
        )
      : []),
    ...(network?.routeTableIds ?? []).flatMap((id) =>
      claim(
        id,
        index,
        (first) =>
          `[${index}].network.routeTableIds: found ${JSON.stringify(id)}, expected [], because [${first}] makes its gateway endpoints, ` +
          'which serve everything in these subnets',
      ),
    ),
  ]);
}
