// What each action of Systems Manager answers, with the checks that the service makes.
import * as z from 'zod/mini';
import type { DocumentContent } from '../../lib/documents/document-content.ts';
import type { ApiCall } from './server.ts';
import { AGENT_VERSION } from './ssm-agent.ts';
import { aggregatedStatus, type CommandStore, type RecordedCommand, type SentInvocation } from './ssm-commands.ts';
import type { SsmNode } from './ssm-node.ts';

interface SsmState {
  readonly nodes: ReadonlyMap<string, SsmNode>;
  readonly documents: ReadonlyMap<string, DocumentContent>;
  readonly parameters: Map<string, string>;
  readonly showAfterMs: number;
}

interface Context {
  readonly state: SsmState;
  readonly store: CommandStore;
  readonly calls: ApiCall[];
}

/** Of a plugin's output in a list. */
const MAX_LISTED_OUTPUT = 2_500;

type Signer = Pick<ApiCall, 'signedBy'>;

/** An error that the service answers with. */
export class SsmFault extends Error {
  readonly type: string;
  constructor(type: string, message = '') {
    super(message);
    this.type = type;
  }
}

/** @returns a function that answers an action, or throws an SsmFault */
export function ssmActions(context: Context): (action: string, request: unknown, signer?: Signer) => object {
  const { state, store, calls } = context;
  return (action, request, signer = {}) => {
    const noted = (name: string, resource = '*', conditions?: ApiCall['conditions']) =>
      calls.push({ action: `ssm:${name}`, resource, ...(conditions && { conditions }), ...signer });
    switch (action) {
      case 'DescribeInstanceInformation':
        noted(action);
        return describeNodes(state, parse(describeRequest, request));
      case 'SendCommand': {
        const parsed = parse(sendRequest, request);
        noted(action, parsed.DocumentName);
        for (const id of parsed.InstanceIds) noted(action, id, tagConditions(state.nodes.get(id)));
        return sendCommand(context, parsed);
      }
      case 'ListCommands':
        noted(action);
        return listCommands(shown(context), parse(listRequest, request));
      case 'ListCommandInvocations':
        noted(action);
        return listInvocations(shown(context), parse(listRequest, request));
      case 'GetCommandInvocation':
        noted(action);
        return getInvocation(shown(context), parse(getRequest, request));
      case 'GetParameter': {
        const { Name } = parse(parameterRequest, request);
        noted(action, Name);
        const Value = state.parameters.get(Name);
        if (Value === undefined) throw new SsmFault('ParameterNotFound');
        return { Parameter: { Name, Type: 'String', Value, Version: 1 } };
      }
      case 'PutParameter': {
        const { Name, Value = '' } = parse(parameterRequest, request);
        noted(action, Name);
        state.parameters.set(Name, Value);
        return { Version: 1, Tier: 'Standard' };
      }
      default:
        throw new SsmFault('UnknownOperationException', action);
    }
  };

  function shown({ state: { showAfterMs } }: Context): RecordedCommand[] {
    return store.commands.filter(({ sentAtMs }) => Date.now() - sentAtMs >= showAfterMs).reverse();
  }
}

/** What a policy may ask of the instance that a command is sent to. */
function tagConditions(node: SsmNode | undefined): Record<string, readonly string[]> {
  const tags = Object.entries(node?.tags ?? {});
  return Object.fromEntries(tags.map(([key, value]) => [`ssm:resourceTag/${key}`, [value]]));
}

const paging = {
  MaxResults: z.optional(z.number().check(z.gte(1), z.lte(50))),
  NextToken: z.optional(z.string()),
};
const describeRequest = z.object({
  ...paging,
  MaxResults: z.optional(z.number().check(z.gte(5), z.lte(50))),
  Filters: z._default(
    z.array(z.object({ Key: z.string(), Values: z.array(z.string()).check(z.minLength(1), z.maxLength(100)) })),
    [],
  ),
});
/** "SendCommand" in the Systems Manager API reference. What a parameter's value may be is its document's business. */
const sendRequest = z.object({
  DocumentName: z.string().check(z.regex(/^[a-zA-Z0-9_\-.:/]{3,128}$/)),
  DocumentVersion: z.optional(z.string()),
  InstanceIds: z
    .array(z.string().check(z.regex(/^i-([0-9a-f]{8}|[0-9a-f]{17})$/)))
    .check(z.minLength(1), z.maxLength(50)),
  Parameters: z._default(z.record(z.string(), z.array(z.string())), {}),
  Comment: z._default(z.string().check(z.maxLength(100)), ''),
  TimeoutSeconds: z._default(z.number().check(z.int(), z.gte(30), z.lte(2_592_000)), 3_600),
  MaxConcurrency: z.optional(z.string().check(z.regex(/^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$/))),
  MaxErrors: z.optional(z.string().check(z.regex(/^([1-9][0-9]{0,6}|0|[1-9][0-9]%|[0-9]%|100%)$/))),
});
const filterValue = z.string().check(z.minLength(1), z.maxLength(128));
const listRequest = z.object({
  ...paging,
  CommandId: z.optional(z.string()),
  InstanceId: z.optional(z.string()),
  Details: z.optional(z.boolean()),
  Filters: z._default(z.array(z.object({ key: z.string(), value: filterValue })).check(z.maxLength(5)), []),
});
const getRequest = z.object({ CommandId: z.string(), InstanceId: z.string() });
const parameterRequest = z.object({ Name: z.string(), Value: z.optional(z.string()) });

function parse<Schema extends z.ZodMiniType>(schema: Schema, request: unknown): z.output<Schema> {
  const result = z.safeParse(schema, request);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new SsmFault('ValidationException', `1 validation error detected: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** A page of a list; the token is where the next one begins. */
function page<Item>(
  items: readonly Item[],
  { MaxResults, NextToken }: { MaxResults?: number | undefined; NextToken?: string | undefined },
  standard: number,
) {
  const start = Number(NextToken ?? 0);
  if (!Number.isInteger(start)) throw new SsmFault('InvalidNextToken');
  const end = start + (MaxResults ?? standard);
  return { items: items.slice(start, end), ...(end < items.length && { NextToken: String(end) }) };
}

function describeNodes({ nodes }: SsmState, request: z.output<typeof describeRequest>): object {
  const matching = [...nodes.values()].filter((node) =>
    request.Filters.every(({ Key, Values }) => {
      if (!Key.startsWith('tag:')) throw new SsmFault('InvalidFilterKey', Key);
      return Values.includes(node.tags[Key.slice('tag:'.length)] ?? '');
    }),
  );
  const { items, ...rest } = page(matching, request, 10);
  return {
    ...rest,
    InstanceInformationList: items.map((node) => ({
      InstanceId: node.instanceId,
      IPAddress: node.ipAddress,
      ComputerName: node.computerName,
      PingStatus: node.pingStatus,
      LastPingDateTime: Date.now() / 1_000 - (node.pingStatus === 'Online' ? 60 : 7_200),
      AgentVersion: node.agentVersion ?? AGENT_VERSION,
      PlatformType: 'Linux',
      ResourceType: 'EC2Instance',
    })),
  };
}

function sendCommand({ state, store }: Context, request: z.output<typeof sendRequest>): object {
  const { DocumentName, InstanceIds, DocumentVersion = '$DEFAULT' } = request;
  const content = state.documents.get(DocumentName);
  if (content === undefined) throw new SsmFault('InvalidDocument', `document ${DocumentName} does not exist`);
  if (!['$DEFAULT', '$LATEST', '1'].includes(DocumentVersion)) throw new SsmFault('InvalidDocumentVersion');
  if (new Set(InstanceIds).size < InstanceIds.length) throw new SsmFault('DuplicateInstanceId');
  const parameters = checkParameters(content, request.Parameters);
  const found = InstanceIds.map((id) => ({ id, node: state.nodes.get(id) }));
  const invalid = found.filter(({ node }) => node === undefined || node.fault?.kind === 'invalid').map(({ id }) => id);
  if (invalid.length > 0) {
    throw new SsmFault(
      'InvalidInstanceId',
      `Instances [[${invalid.join(', ')}]] not in a valid state for account 111122223333`,
    );
  }
  const command = store.send({
    document: DocumentName,
    content,
    nodes: found.flatMap(({ node }) => (node === undefined ? [] : [node])),
    parameters,
    comment: request.Comment,
    timeoutSeconds: request.TimeoutSeconds,
  });
  return { Command: describeCommand(command) };
}

function checkParameters(
  content: DocumentContent,
  given: Readonly<Record<string, readonly string[]>>,
): Record<string, string> {
  const unknown = Object.keys(given).find((name) => content.parameters[name] === undefined);
  if (unknown !== undefined)
    throw new SsmFault('InvalidParameters', `Parameter "${unknown}" is not defined in the document`);
  return Object.fromEntries(
    Object.entries(content.parameters).map(([name, { allowedPattern, default: standard }]) => {
      const values = given[name] ?? (standard === undefined ? [] : [standard]);
      const [value] = values;
      if (value === undefined || values.length !== 1)
        throw new SsmFault('InvalidParameters', `Parameter "${name}" needs one value`);
      if (!new RegExp(allowedPattern).test(value)) {
        throw new SsmFault('InvalidParameters', `Parameter "${name}" does not match ${allowedPattern}`);
      }
      return [name, value];
    }),
  );
}

function listCommands(commands: readonly RecordedCommand[], request: z.output<typeof listRequest>): object {
  const matching = commands.filter(
    (command) =>
      (request.CommandId ?? command.commandId) === command.commandId &&
      request.Filters.every(({ key, value }) => {
        if (key === 'DocumentName') return command.document === value;
        if (key === 'InvokedAfter') return command.sentAtMs >= Date.parse(value);
        if (key === 'Status') return aggregatedStatus(command) === value;
        throw new SsmFault('InvalidFilterKey', key);
      }),
  );
  const { items, ...rest } = page(matching, request, 50);
  return { ...rest, Commands: items.map(describeCommand) };
}

function describeCommand(command: RecordedCommand): object {
  const Status = aggregatedStatus(command);
  return {
    CommandId: command.commandId,
    DocumentName: command.document,
    DocumentVersion: '$DEFAULT',
    Comment: command.comment,
    InstanceIds: command.invocations.map(({ instanceId }) => instanceId),
    Targets: [],
    Parameters: Object.fromEntries(Object.entries(command.parameters).map(([name, value]) => [name, [value]])),
    RequestedDateTime: command.sentAtMs / 1_000,
    Status,
    StatusDetails: Status,
    TimeoutSeconds: command.timeoutSeconds,
    TargetCount: command.invocations.length,
  };
}

function listInvocations(commands: readonly RecordedCommand[], request: z.output<typeof listRequest>): object {
  const matching = commands
    .filter(({ commandId }) => (request.CommandId ?? commandId) === commandId)
    .flatMap((command) => command.invocations.map((invocation) => ({ command, invocation })))
    .filter(({ invocation: { instanceId } }) => (request.InstanceId ?? instanceId) === instanceId);
  const { items, ...rest } = page(matching, request, 50);
  const CommandInvocations = items.map(({ command, invocation }) => ({
    CommandId: command.commandId,
    InstanceId: invocation.instanceId,
    InstanceName: invocation.computerName,
    Comment: command.comment,
    DocumentName: command.document,
    RequestedDateTime: command.sentAtMs / 1_000,
    Status: invocation.status,
    StatusDetails: invocation.statusDetails,
    CommandPlugins: request.Details ? [describePlugin(command, invocation)] : [],
  }));
  return { ...rest, CommandInvocations };
}

function describePlugin(
  command: RecordedCommand,
  { status, statusDetails, responseCode, stdout, stderr }: SentInvocation,
) {
  const Output = (stderr === '' ? stdout : `${stdout}\n----------ERROR-------\n${stderr}`).slice(0, MAX_LISTED_OUTPUT);
  return { Name: command.pluginName, Status: status, StatusDetails: statusDetails, ResponseCode: responseCode, Output };
}

function getInvocation(
  commands: readonly RecordedCommand[],
  { CommandId, InstanceId }: z.output<typeof getRequest>,
): object {
  const command = commands.find(({ commandId }) => commandId === CommandId);
  const invocation = command?.invocations.find(({ instanceId }) => instanceId === InstanceId);
  if (command === undefined || invocation === undefined) throw new SsmFault('InvocationDoesNotExist');
  return {
    CommandId,
    InstanceId,
    Comment: command.comment,
    DocumentName: command.document,
    PluginName: command.pluginName,
    ResponseCode: invocation.responseCode,
    Status: invocation.status,
    StatusDetails: invocation.statusDetails,
    StandardOutputContent: invocation.stdout,
    StandardErrorContent: invocation.stderr,
  };
}
