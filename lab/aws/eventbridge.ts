// EventBridge as far as a run needs it: takes events, remembers them, and refuses them when told to.
import { type ApiCall, errorResponse, type RunningServer, signerOf, startServer } from './server.ts';

export interface RecordedEvent {
  readonly bus: string;
  readonly source: string;
  readonly detailType: string;
  readonly detail: unknown;
  /** Size of the detail's text. */
  readonly detailBytes: number;
}

export interface EventBridgeStandIn extends RunningServer {
  readonly events: readonly RecordedEvent[];
  /** `entries`: each one is refused in a successful answer; `request`: the request fails; undefined: all is well. */
  refuse(what: 'entries' | 'request' | undefined): void;
}

interface Entry {
  readonly EventBusName?: string;
  readonly Source: string;
  readonly DetailType: string;
  readonly Detail: string;
  readonly Resources?: readonly string[];
}

/**
 * "PutEvents" in the EventBridge API reference. Entries of a megabyte are taken since 2026, and not yet everywhere: the
 * older limit holds.
 */
const MOST_ENTRIES = 10;
const REQUEST_BYTES = 256 * 1024;
const MOST_DETAIL_TYPE_LENGTH = 128;

export async function startEventBridge(calls: ApiCall[]): Promise<EventBridgeStandIn> {
  const events: RecordedEvent[] = [];
  let refused: 'entries' | 'request' | undefined;
  const server = await startServer(async ({ headers, body }) => {
    if (headers['x-amz-target'] !== 'AWSEvents.PutEvents') return errorResponse(400, 'UnknownOperationException', '');
    const { Entries }: { Entries: readonly Entry[] } = JSON.parse(body);
    for (const { EventBusName = 'default', Source } of Entries) {
      const conditions = { 'events:source': [Source] };
      calls.push({ action: 'events:PutEvents', resource: EventBusName, conditions, ...signerOf(headers) });
    }
    if (refused === 'request') return errorResponse(400, 'ResourceNotFoundException', 'Event bus does not exist.');
    if (Entries.length === 0 || Entries.length > MOST_ENTRIES)
      return errorResponse(400, 'ValidationException', `There may be 1 to ${MOST_ENTRIES} entries.`);
    const size = Entries.reduce((sum, entry) => sum + entrySize(entry), 0);
    if (size >= REQUEST_BYTES)
      return errorResponse(400, 'ValidationException', 'Total size of the entries is over the limit.');
    let failed = 0;
    const results = Entries.map((entry, index) => {
      const refusal =
        refused === 'entries' ? { ErrorCode: 'InternalFailure', ErrorMessage: 'Try again.' } : problemOf(entry);
      if (refusal !== undefined) {
        failed++;
        return refusal;
      }
      events.push(recorded(entry));
      return { EventId: `event-${events.length}-${index}` };
    });
    return { status: 200, body: { FailedEntryCount: failed, Entries: results } };
  });
  return { ...server, events, refuse: (what) => (refused = what) };
}

/** What the service says of an entry that it does not take; it takes the others. */
function problemOf({ Source, DetailType, Detail }: Entry): { ErrorCode: string; ErrorMessage: string } | undefined {
  const invalid = (ErrorMessage: string) => ({ ErrorCode: 'InvalidArgument', ErrorMessage });
  if (!Source) return invalid('Parameter Source is not valid.');
  if (Source.startsWith('aws.')) {
    return { ErrorCode: 'NotAuthorizedForSourceException', ErrorMessage: `Not authorized for the source ${Source}.` };
  }
  if (!DetailType || DetailType.length > MOST_DETAIL_TYPE_LENGTH) return invalid('Parameter DetailType is not valid.');
  if (!Detail.startsWith('{')) return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
  return undefined;
}

/** As the service counts it ("Calculating PutEvents event entry size"): 14 bytes of time, and the texts in UTF-8. */
function entrySize({ Source, DetailType, Detail, Resources = [] }: Entry): number {
  const texts = [Source, DetailType, Detail, ...Resources];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 14);
}

function recorded({
  EventBusName: bus = 'default',
  Source: source,
  DetailType: detailType,
  Detail,
}: Entry): RecordedEvent {
  return { bus, source, detailType, detail: JSON.parse(Detail), detailBytes: Buffer.byteLength(Detail) };
}
