// Sends a document to nodes, once (R5): SendCommand has no client token, so what was already sent is looked for first.
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { type Command, paginateListCommands, SendCommandCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { clientDefaults } from '../aws/client.ts';
import { withSsm } from '../aws/ssm.ts';
import { describeNamedError } from '../contract/errors.ts';
import { CommandUnknownError, explainQuestion, explainRefusal } from './errors.ts';

/** The service takes so many instance ids a call. */
const BATCH_SIZE = 50;

/** A replay comes within hours; Systems Manager keeps its list for 30 days. */
const LOOK_BACK_MS = 48 * 60 * 60 * 1_000;

/** A command shows up in the list a moment after it was sent, mostly within a second. */
const LOOK_AGAIN_AFTER_MS: readonly number[] = [500, 1_000, 2_000, 4_000];

/** Growing pauses; what is throttled was not sent. */
const TRY_AGAIN_AFTER_MS = [300, 800, 2_000];

/** The SDK must not repeat this call by itself: after a lost answer that would be a second command. */
const sendSettings = { ...clientDefaults, maxAttempts: 1 };

export interface SendCommandOptions {
  /** The document's name. */
  readonly document: string;
  /** @default the document's default version, which is the one last deployed */
  readonly documentVersion?: string | undefined;
  /** Each gets the command at most once for this step id. */
  readonly instanceIds: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Names the step of the run, and no other step of any run: the execution's ARN and the step's name. */
  readonly stepId: string;
  /** How long the service tries to deliver it, from 30 s; the document says how long the script may take then. */
  readonly timeoutSeconds: number;
  /** Pauses before each look for a command whose answer was lost. @default four, 7.5 s in all */
  readonly lookAgainAfterMs?: readonly number[];
}

/** Plain data, to be kept as a durable step's result. */
export interface SentCommand {
  /** One for each batch of instances. */
  readonly commands: readonly { readonly commandId: string; readonly instanceIds: readonly string[] }[];
  /** Instances that Systems Manager does not take commands for; the others got theirs. */
  readonly refused: readonly { readonly instanceId: string; readonly problem: string }[];
}

/**
 * Finds what an earlier attempt of this step sent, and sends the rest. Does not wait for the nodes.
 * @throws SetupError when the document is not there or must not be sent
 * @throws CommandRefusedError when a parameter is not one that the document takes, or the service refused otherwise
 * @throws CommandUnknownError when the answer was lost and the command did not show up in the list
 * @throws NodesUnreadableError when the list of commands could not be read; nothing was sent then
 */
export async function sendCommandOnce(options: SendCommandOptions): Promise<SentCommand> {
  const comment = commentOf(options.stepId);
  const sent = await findSent(options, comment);
  const reached = new Set(sent.flatMap(({ instanceIds }) => instanceIds));
  const rest = [...new Set(options.instanceIds)].filter((instanceId) => !reached.has(instanceId)).sort();
  const commands = [...sent];
  const refused: SentCommand['refused'][number][] = [];
  for (let start = 0; start < rest.length; start += BATCH_SIZE) {
    const batch = await sendBatch(rest.slice(start, start + BATCH_SIZE), options, comment);
    commands.push(...batch.commands);
    refused.push(...batch.refused);
  }
  return { commands, refused };
}

/** The service keeps 100 characters of it; a step's id is longer than that. */
function commentOf(stepId: string): string {
  return `etcd-medic step ${createHash('sha256').update(stepId).digest('hex').slice(0, 40)}`;
}

async function findSent({ document }: SendCommandOptions, comment: string): Promise<SentCommand['commands']> {
  // To the second, which is all that the filter is documented to take.
  const since = `${new Date(Date.now() - LOOK_BACK_MS).toISOString().slice(0, 19)}Z`;
  try {
    return await withSsm(async (client) => {
      const found: SentCommand['commands'][number][] = [];
      const pages = paginateListCommands(
        { client, pageSize: 50 },
        {
          Filters: [
            { key: 'InvokedAfter', value: since },
            { key: 'DocumentName', value: document },
          ],
        },
      );
      for await (const { Commands = [] } of pages) found.push(...Commands.flatMap((each) => asSent(each, comment)));
      return found;
    });
  } catch (error) {
    throw explainQuestion(`document ${document}: tried to look for what this run already sent`, error);
  }
}

function asSent({ CommandId, Comment, InstanceIds = [] }: Command, comment: string): SentCommand['commands'] {
  return CommandId !== undefined && Comment === comment ? [{ commandId: CommandId, instanceIds: InstanceIds }] : [];
}

/** One refused instance makes the service refuse the whole call: then the others are sent without it. */
async function sendBatch(batch: readonly string[], options: SendCommandOptions, comment: string): Promise<SentCommand> {
  const refused: SentCommand['refused'][number][] = [];
  let instanceIds = batch;
  while (instanceIds.length > 0) {
    try {
      return { commands: await send(instanceIds, options, comment), refused };
    } catch (error) {
      const bad = refusedInstances(error, instanceIds);
      if (bad.length === 0) throw error;
      const problem = describeNamedError(error instanceof Error ? error.cause : error);
      refused.push(...bad.map((instanceId) => ({ instanceId, problem })));
      instanceIds = instanceIds.filter((instanceId) => !bad.includes(instanceId));
    }
  }
  return { commands: [], refused };
}

/** The message names them: "Instances [[i-…, i-…]] not in a valid state for account …". */
function refusedInstances(error: unknown, instanceIds: readonly string[]): readonly string[] {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof Error) || cause.name !== 'InvalidInstanceId') return [];
  if (instanceIds.length === 1) return instanceIds;
  const named: readonly string[] = cause.message.match(/\bi-[0-9a-f]+\b/g) ?? [];
  return instanceIds.filter((instanceId) => named.includes(instanceId));
}

async function send(
  instanceIds: readonly string[],
  options: SendCommandOptions,
  comment: string,
): Promise<SentCommand['commands']> {
  const what = `document ${options.document} to ${instanceIds.join(', ')}`;
  try {
    const commandId = await withSsm((client) => request(client, instanceIds, options, comment), sendSettings);
    if (commandId !== undefined) return [{ commandId, instanceIds }];
  } catch (error) {
    if (wasRefused(error)) throw explainRefusal(`${what}: tried to send it`, error);
    const found = await lookAgain(instanceIds, options, comment);
    if (found.length > 0) return found;
    throw new CommandUnknownError(`${what}: tried to send it and don't know whether that was done`, { cause: error });
  }
  throw new CommandUnknownError(`${what}: tried to send it, and the answer names no command`);
}

async function request(
  client: SSMClient,
  instanceIds: readonly string[],
  { document, documentVersion, parameters, timeoutSeconds }: SendCommandOptions,
  comment: string,
): Promise<string | undefined> {
  const command = new SendCommandCommand({
    DocumentName: document,
    ...(documentVersion !== undefined && { DocumentVersion: documentVersion }),
    InstanceIds: [...instanceIds],
    Parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
    Comment: comment,
    TimeoutSeconds: timeoutSeconds,
    // All at the same time (R11), and one that fails doesn't keep the rest from theirs.
    MaxConcurrency: '100%',
    MaxErrors: '100%',
  });
  for (let attempt = 0; ; attempt++) {
    try {
      return (await client.send(command)).Command?.CommandId;
    } catch (error) {
      const pauseMs = TRY_AGAIN_AFTER_MS[attempt];
      if (!isThrottled(error) || pauseMs === undefined) throw error;
      await wait(pauseMs);
    }
  }
}

/** After a lost answer. @returns nothing when it never showed up */
async function lookAgain(
  instanceIds: readonly string[],
  options: SendCommandOptions,
  comment: string,
): Promise<SentCommand['commands']> {
  for (const pauseMs of options.lookAgainAfterMs ?? LOOK_AGAIN_AFTER_MS) {
    await wait(pauseMs);
    // Not to know whether it was sent is what this ends in anyway.
    const sent = await findSent(options, comment).catch(() => []);
    const mine = sent.filter(({ instanceIds: ids }) => ids.some((instanceId) => instanceIds.includes(instanceId)));
    if (mine.length > 0) return mine;
  }
  return [];
}

function isThrottled(error: unknown): boolean {
  return error instanceof Error && /^(Throttl|TooManyRequests|RequestLimitExceeded|RequestThrottled)/.test(error.name);
}

/** True where it is certain that nothing was sent: the service said so, or the call never reached it. */
function wasRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'CredentialsProviderError') return true;
  if ('code' in error && /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(String(error.code))) return true;
  const metadata: unknown = Reflect.get(error, '$metadata');
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return false;
  const status = Number(metadata.httpStatusCode);
  return status >= 400 && status < 500;
}
