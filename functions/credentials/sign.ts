// Has a control-plane node sign a certificate request: through Systems Manager, one node after the other until one
// does.
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { withRetries } from '../aws/client.ts';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import { describeError, SetupError } from '../contract/errors.ts';
import { type AuthorityFiles, type Subject, signingDocumentName, VALID_DAYS } from '../contract/purposes.ts';
import { agentTooOld } from '../nodes/agent-version.ts';
import { readCommand } from '../nodes/command-results.ts';
import { type SendCommandOptions, sendCommandOnce } from '../nodes/commands.ts';
import { CommandRefusedError, CommandUnknownError, mayComeThrough } from '../nodes/errors.ts';
import { findNodes, type Node } from '../nodes/inventory.ts';
import { NotSignedError, UnfitCertificateError } from './errors.ts';
import { type SignedOutput, signedOutput } from './signed.ts';

/** The least that Systems Manager takes. A node whose agent doesn't fetch it in this time is passed over. */
const DELIVERY_SECONDS = 30;
/** Growing pauses: a node that is at leisure has signed within a second or two. */
const FIRST_PAUSE_MS = 200;
const LAST_PAUSE_MS = 2_000;
/** Delivery, and the script's own 60 s. */
const NODE_MS = (DELIVERY_SECONDS + 60 + 10) * 1_000;
/** Longer than all attempts that the SDK makes by itself, and than two commands whose answers are lost. */
const TROUBLE_MS = 20_000;
/** No node is begun with after this: what follows has to fit into the function's time as well. */
const ALL_NODES_MS = 240_000;

export interface SigningOrder {
  readonly configuration: ClusterConfiguration;
  readonly authority: AuthorityFiles;
  readonly subject: Subject;
  /** PKCS #10 in PEM. */
  readonly request: string;
}

/** The outcome, and where it came about. */
export interface Signed<Fit> {
  readonly fit: Fit;
  readonly node: Node;
  /** What the nodes that were asked before did instead, a sentence each. */
  readonly problems: readonly string[];
}

/**
 * @param accept makes of an answer what is used of it, or throws UnfitCertificateError: then the next node is asked
 * @throws NotSignedError with a line for each node, where none is online or none signed
 * @throws SetupError, NodesUnreadableError where nobody can be asked at all
 */
export async function haveSigned<Fit>(
  order: SigningOrder,
  accept: (output: SignedOutput) => Fit,
): Promise<Signed<Fit>> {
  const { name, nodes: configured } = order.configuration;
  if (configured === undefined)
    throw new SetupError('nodes: found nothing, expected the tag of the nodes that can sign');
  const startedMs = performance.now();
  const nodes = await throughTrouble(() => findNodes({ tag: configured.tag }));
  const problems = nodes.filter(isOffline).map((node) => `${nameOf(node)}: its SSM agent is offline`);
  for (const node of nodes.filter((each) => !isOffline(each))) {
    if (performance.now() - startedMs > ALL_NODES_MS) {
      problems.push(`${nameOf(node)}: not asked, because the others took all the time`);
      continue;
    }
    try {
      return { fit: accept(await askNode(node, order)), node, problems };
    } catch (error) {
      if (!mayDifferElsewhere(error)) throw error;
      const tooOld = agentTooOld(node.agentVersion);
      problems.push(`${nameOf(node)}: ${describeError(error)}${tooOld ? ` (${tooOld})` : ''}`);
    }
  }
  const { key, value } = configured.tag;
  const nobody = `no node with the tag ${key}=${value} has an SSM agent`;
  throw new NotSignedError(
    `cluster ${name}: no control-plane node signed the certificate request: ${problems.join('; ') || nobody}`,
  );
}

function isOffline({ pingStatus }: Node): boolean {
  return pingStatus !== 'Online';
}

/** What went wrong on this node, and not with the document or the permission to send it. */
function mayDifferElsewhere(error: unknown): boolean {
  return [NotSignedError, UnfitCertificateError, CommandRefusedError, CommandUnknownError].some(
    (type) => error instanceof type,
  );
}

async function askNode({ instanceId }: Node, order: SigningOrder): Promise<SignedOutput> {
  const { configuration, authority, subject, request } = order;
  const command: SendCommandOptions = {
    document: signingDocumentName(configuration.name),
    instanceIds: [instanceId],
    parameters: {
      Request: Buffer.from(request).toString('base64'),
      CaCertificatePath: authority.caFile,
      CaKeyPath: authority.caKeyFile,
      ServerCaPath: authority.serverCaFile,
      CommonName: subject.commonName,
      Organization: subject.organization,
      ValidityDays: String(VALID_DAYS),
    },
    // A request is made once: another attempt has another key, and an answer to this one would be of no use to it.
    stepId: `sign ${createHash('sha256').update(request).digest('hex')} on ${instanceId}`,
    timeoutSeconds: DELIVERY_SECONDS,
  };
  const sent = await throughTrouble(() => sendCommandOnce(command));
  const startedMs = performance.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LAST_PAUSE_MS)) {
    const [result] = await throughTrouble(() => readCommand({ sent, output: signedOutput }));
    if (result?.output !== undefined) return result.output;
    if (result !== undefined && result.state !== 'Pending') {
      throw new NotSignedError(result.problem ?? `the command ended as ${result.state}`);
    }
    if (performance.now() - startedMs > NODE_MS) throw new NotSignedError(`no answer after ${NODE_MS / 1_000} s`);
    await wait(pauseMs);
  }
}

/**
 * Systems Manager's own bad moment is no node's fault. What it did not refuse may be asked again: a command is sent
 * once (R5).
 */
function throughTrouble<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  return withRetries(TROUBLE_MS, ask, mayComeThrough);
}

function nameOf({ name, instanceId }: Node): string {
  return name === instanceId ? name : `${name} (${instanceId})`;
}
