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
}

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
    const size = Entries.reduce((sum, entry) => sum + entrySize(entry), 0);
    if (size > 256 * 1024)
      return errorResponse(400, 'ValidationException', 'Total size of the entries is over the limit.');
    const results = Entries.map((entry, index) => {
      if (refused === 'entries') return { ErrorCode: 'InternalFailure', ErrorMessage: 'Try again.' };
      events.push(recorded(entry));
      return { EventId: `event-${events.length}-${index}` };
    });
    return { status: 200, body: { FailedEntryCount: refused === 'entries' ? Entries.length : 0, Entries: results } };
  });
  return { ...server, events, refuse: (what) => (refused = what) };
}

/** As the service counts it: 14 bytes of time, and the texts. */
function entrySize({ Source, DetailType, Detail }: Entry): number {
  return 14 + Buffer.byteLength(Source) + Buffer.byteLength(DetailType) + Buffer.byteLength(Detail);
}

function recorded({
  EventBusName: bus = 'default',
  Source: source,
  DetailType: detailType,
  Detail,
}: Entry): RecordedEvent {
  return { bus, source, detailType, detail: JSON.parse(Detail), detailBytes: Buffer.byteLength(Detail) };
}
