// Reads the context `clusters`, and refuses at synth what a Lambda function could not work with later.
import { kindsToPrune } from '../functions/prune/kinds.ts';
import { type ClusterConfiguration, parseClusters } from '../functions/run/configuration.ts';
import { InvalidInputError } from '../functions/run/errors.ts';
import { endpointServices } from '../functions/run/network.ts';

const IN_CDK_JSON = 'cdk.json context "clusters"';
const ON_COMMAND_LINE = 'context "clusters" (-c clusters=…)';

/** All variables of a function together may have 4096 bytes; what is not the configuration's is kept for ARNs and names. */
const MAX_CONFIGURATION_BYTES = 3300;
/** Each endpoint is one more variable with a name of AWS's making. */
const ENDPOINT_BYTES = 140;

/** Both go into the functions' permissions, where `*` and `${…}` would mean more than they say. */
const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+@-]+$/u;

/**
 * @param context the list as cdk.json has it, or its JSON text as `-c clusters='[…]'` gives it
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function readClusters(context: unknown): readonly ClusterConfiguration[] {
  const [list, source] = typeof context === 'string' ? [parseJson(context), ON_COMMAND_LINE] : [context, IN_CDK_JSON];
  const clusters = parseClusters(list, source);
  const problems = clusters.flatMap(deploymentProblems);
  if (problems.length > 0) throw new InvalidInputError(source, problems);
  return clusters;
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
  const bytes = Buffer.byteLength(JSON.stringify(cluster));
  const maxBytes = MAX_CONFIGURATION_BYTES - ENDPOINT_BYTES * endpointServices(cluster.network).length;
  if (bytes > maxBytes) {
    problems.push(
      `[${index}]: found ${bytes} bytes of configuration, expected at most ${maxBytes}, because it goes into ` +
        "the functions' environment, which Lambda holds to 4096 bytes",
    );
  }
  return problems;
}
