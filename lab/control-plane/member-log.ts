// What an etcd member's own log says it did, and when: defragmentations, compactions, leaderships, alarms, ends.

interface LoggedDefragmentation {
  /** Milliseconds since the epoch, as all times here. */
  readonly startedAt: number;
  /** Undefined while it is under way. One that the process didn't survive ends at its next start. */
  finishedAt: number | undefined;
  succeeded: boolean;
  /** Bytes of the file. */
  sizeBefore: number | undefined;
  sizeAfter: number | undefined;
}

interface LoggedCompaction {
  readonly at: number;
  readonly kind: 'started' | 'finished';
  readonly revision: number;
}

interface LoggedAlarm {
  readonly at: number;
  readonly kind: 'raised' | 'disarmed';
  /** `NOSPACE`, `CORRUPT` */
  readonly type: string;
}

/** All in the order of the log. */
export interface MemberLog {
  readonly defragmentations: readonly LoggedDefragmentation[];
  readonly compactions: readonly LoggedCompaction[];
  readonly leaderships: readonly { readonly at: number; readonly term: number }[];
  /** When it began to hand its leadership over, asked for or at its end. */
  readonly transfers: readonly number[];
  /** Of the whole cluster: every member logs all of them. `disarmed` is the last alarm of its type being taken away. */
  readonly alarms: readonly LoggedAlarm[];
  /** When it began to serve clients, once for each start. */
  readonly serving: readonly number[];
  /** Panics, and a full disk, in its own words. */
  readonly troubles: readonly { readonly at: number; readonly text: string }[];
}

interface Entry {
  readonly at: number;
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** @param text one JSON document a line, among them a panic's plain ones */
export function readMemberLog(text: string): MemberLog {
  const reader = new Reader();
  for (const line of text.split('\n')) reader.read(line);
  return reader.log;
}

class Reader {
  readonly log = {
    defragmentations: [] as LoggedDefragmentation[],
    compactions: [] as LoggedCompaction[],
    leaderships: [] as { at: number; term: number }[],
    transfers: [] as number[],
    alarms: [] as LoggedAlarm[],
    serving: [] as number[],
    troubles: [] as { at: number; text: string }[],
  };
  #at = 0;

  read(line: string): void {
    const entry = parse(line);
    this.#at = entry?.at ?? this.#at;
    const isGrave = entry ? /^(panic|fatal|dpanic)$/.test(entry.level) : /^(panic|fatal error):/.test(line);
    if (isGrave || line.includes('no space left on device')) this.log.troubles.push({ at: this.#at, text: line });
    if (entry) this.#take(entry);
  }

  #take({ at, message, fields }: Entry): void {
    const leader = /became leader at term (\d+)$/.exec(message);
    if (leader) this.log.leaderships.push({ at, term: Number(leader[1]) });
    // "… securely" or "… insecurely; this is strongly discouraged!"
    if (message.startsWith('serving client traffic')) this.log.serving.push(at);
    switch (message) {
      case 'starting an etcd server':
        this.#endDefragmentation(at, false);
        break;
      case 'starting defragment':
        this.log.defragmentations.push({
          startedAt: at,
          finishedAt: undefined,
          succeeded: false,
          sizeBefore: undefined,
          sizeAfter: undefined,
        });
        break;
      case 'defragmenting':
        this.#amend((last) => {
          last.sizeBefore = size(fields);
        });
        break;
      // Of 3.4, and of 3.5 on.
      case 'defragmented':
      case 'finished defragmenting directory':
        this.#amend((last) => {
          last.sizeAfter = size(fields);
        });
        break;
      case 'finished defragment':
        this.#endDefragmentation(at, true);
        break;
      case 'failed to defragment':
        this.#endDefragmentation(at, false);
        break;
      case 'compact tree index':
        this.log.compactions.push({ at, kind: 'started', revision: Number(fields.revision) });
        break;
      case 'finished scheduled compaction':
        this.log.compactions.push({ at, kind: 'finished', revision: Number(fields['compact-revision']) });
        break;
      case 'leadership transfer starting':
        this.log.transfers.push(at);
        break;
      case 'alarm raised':
      case 'alarm disarmed':
        this.log.alarms.push({ at, kind: message === 'alarm raised' ? 'raised' : 'disarmed', type: `${fields.alarm}` });
        break;
    }
  }

  #amend(change: (last: LoggedDefragmentation) => void): void {
    const last = this.log.defragmentations.at(-1);
    if (last && last.finishedAt === undefined) change(last);
  }

  #endDefragmentation(at: number, succeeded: boolean): void {
    this.#amend((last) => {
      last.finishedAt = at;
      last.succeeded = succeeded;
    });
  }
}

function size(fields: Readonly<Record<string, unknown>>): number | undefined {
  const bytes = fields['current-db-size-bytes'];
  return typeof bytes === 'number' ? bytes : undefined;
}

function parse(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line);
  } catch {
    // Cut off in the middle, where the process was killed.
    return undefined;
  }
  const { ts, level, msg } = fields;
  if (typeof ts !== 'string' || typeof msg !== 'string') return undefined;
  return { at: milliseconds(ts), level: `${level}`, message: msg, fields };
}

/** With the microseconds that 3.5 writes and Date.parse cuts off. */
function milliseconds(timestamp: string): number {
  const micros = /\.\d{3}(\d{3})/.exec(timestamp)?.[1];
  return Date.parse(timestamp) + Number(micros ?? 0) / 1000;
}
