// R9: one run at a time per cluster. The lease is one item in DynamoDB, held by a durable execution, not by a process:
// it outlives a crash, the execution that resumes has it still, and another one takes it over only once it has expired.
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EtcdMedicError, LeaseLostError, SetupError } from '../contract/errors.ts';
import { clientDefaults, isSetupProblem } from './client.ts';

/**
 * How long after `expiresAt` another run waits before it takes a lease over. Expiry is written and judged by the clocks
 * of two Lambda hosts; they are synchronised to well below a second, and this is many times that.
 */
export const TAKEOVER_MARGIN_MS = 5_000;

const LEASE_RECORD = 'lease';
const UNKNOWN = { S: '(unknown)' };
/** The owner of a lease whose run has ended. No execution has this for its ARN. */
const NOBODY = '(ended)';

type Acquisition =
  | { readonly kind: 'acquired' }
  /**
   * `by` is the holder's execution ARN, `until` the time (ISO 8601) from which it counts as abandoned. `ended`: that
   * run is over, and the lease only keeps others away from what may still be under way of it.
   */
  | {
      readonly kind: 'held';
      readonly by: string;
      readonly workflow: string;
      readonly until: string;
      readonly ended: boolean;
    }
  | { readonly kind: 'not-configured' };

/** Every call can be repeated by the same owner (R10). */
export interface Lease {
  /** Free, expired or already mine: acquired. */
  acquire(): Promise<Acquisition>;
  /**
   * To be called before every change.
   * @throws LeaseLostError when it is no longer mine: then nothing more may be changed
   */
  renew(): Promise<'renewed' | 'not-configured'>;
  /** `not-mine`: somebody else has it by now, or nobody; it was left as it is. */
  release(): Promise<'released' | 'not-mine' | 'not-configured'>;
  /**
   * For a run that somebody else ended, in whose name an invocation may still be at work: takes the lease from it, so
   * that its next `renew` fails, and keeps all others away until `until`. Repeated, it says the same.
   * @param until milliseconds since 1970
   */
  retire(until: number): Promise<'kept' | 'not-mine' | 'not-configured'>;
}

export interface LeaseOptions {
  /** Undefined: there is no table, and every call says so. */
  readonly table: string | undefined;
  readonly cluster: string;
  /** The durable execution's ARN. */
  readonly owner: string;
  readonly workflow: string;
  /** How long the lease holds without a renewal: longer than the longest step, the watch period included. */
  readonly ttlMs: number;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/** The lease table did not answer or refused: whether the lease was written is unknown. Repeating the call is safe. */
export class LeaseError extends EtcdMedicError {
  override readonly name = 'LeaseError';
}

/** @returns the lease of `cluster` as `owner` sees it; nothing is read or written before the first call */
export function createLease(options: LeaseOptions): Lease {
  return options.table === undefined ? notConfigured : new TableLease({ ...options, table: options.table });
}

const notConfigured: Lease = {
  acquire: async () => ({ kind: 'not-configured' }),
  renew: async () => 'not-configured',
  release: async () => 'not-configured',
  retire: async () => 'not-configured',
};

class TableLease implements Lease {
  readonly #options: LeaseOptions & { readonly table: string };
  readonly #now: () => number;
  #client: DynamoDBClient | undefined;

  constructor(options: LeaseOptions & { readonly table: string }) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async acquire(): Promise<Acquisition> {
    const { table, owner, workflow, ttlMs } = this.#options;
    // The holder may let go between the refused write and the look at who it is; then the next try succeeds.
    for (let attempt = 0; attempt < 3; attempt++) {
      const now = this.#now();
      const written = await this.#write('take', ({ PutItemCommand }, client) => {
        const put = new PutItemCommand({
          TableName: table,
          Item: {
            ...this.#key,
            owner: { S: owner },
            workflow: { S: workflow },
            acquiredAt: { N: String(now) },
            renewedAt: { N: String(now) },
            expiresAt: { N: String(now + ttlMs) },
          },
          ConditionExpression: 'attribute_not_exists(#owner) OR #owner = :me OR expiresAt < :abandoned',
          ExpressionAttributeNames: { '#owner': 'owner' },
          ExpressionAttributeValues: { ':me': { S: owner }, ':abandoned': { N: String(now - TAKEOVER_MARGIN_MS) } },
        });
        return client.send(put);
      });
      if (written) return { kind: 'acquired' };
      const holder = await this.#readHolder();
      if (holder !== undefined) return holder;
    }
    throw new LeaseError(`${this.#name}: it changed hands three times while this run tried to take it. Try again`);
  }

  async renew(): Promise<'renewed'> {
    const { table, owner, ttlMs } = this.#options;
    const now = this.#now();
    const written = await this.#write('renew', ({ UpdateItemCommand }, client) => {
      const update = new UpdateItemCommand({
        TableName: table,
        Key: this.#key,
        UpdateExpression: 'SET renewedAt = :now, expiresAt = :until',
        ConditionExpression: '#owner = :me',
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: {
          ':me': { S: owner },
          ':now': { N: String(now) },
          ':until': { N: String(now + ttlMs) },
        },
      });
      return client.send(update);
    });
    if (written) return 'renewed';
    throw new LeaseLostError(
      `${this.#name}: it is not this run's any more, so this run (${owner}) changes nothing more`,
    );
  }

  async release(): Promise<'released' | 'not-mine'> {
    const { table, owner } = this.#options;
    const written = await this.#write('release', ({ DeleteItemCommand }, client) => {
      const remove = new DeleteItemCommand({
        TableName: table,
        Key: this.#key,
        ConditionExpression: '#owner = :me',
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: { ':me': { S: owner } },
      });
      return client.send(remove);
    });
    return written ? 'released' : 'not-mine';
  }

  async retire(until: number): Promise<'kept' | 'not-mine'> {
    const { table, owner } = this.#options;
    const written = await this.#write('keep', ({ UpdateItemCommand }, client) => {
      const update = new UpdateItemCommand({
        TableName: table,
        Key: this.#key,
        UpdateExpression: 'SET #owner = :nobody, endedRun = :me, expiresAt = :until',
        ConditionExpression: '#owner = :me OR endedRun = :me',
        ExpressionAttributeNames: { '#owner': 'owner' },
        ExpressionAttributeValues: {
          ':me': { S: owner },
          ':nobody': { S: NOBODY },
          ':until': { N: String(until) },
        },
      });
      return client.send(update);
    });
    return written ? 'kept' : 'not-mine';
  }

  get #key() {
    return { cluster: { S: this.#options.cluster }, record: { S: LEASE_RECORD } };
  }

  get #name(): string {
    return `lease of ${this.#options.cluster} in table ${this.#options.table}`;
  }

  /** @returns false when the condition did not hold, so nothing was written */
  async #write(what: string, send: (sdk: Sdk, client: DynamoDBClient) => Promise<unknown>): Promise<boolean> {
    try {
      const { sdk, client } = await this.#connect();
      await send(sdk, client);
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === 'ConditionalCheckFailedException') return false;
      throw this.#explain(what, error);
    }
  }

  async #readHolder(): Promise<Acquisition | undefined> {
    try {
      const { sdk, client } = await this.#connect();
      const get = new sdk.GetItemCommand({ TableName: this.#options.table, Key: this.#key, ConsistentRead: true });
      const { Item } = await client.send(get);
      if (Item === undefined) return undefined;
      const { owner = UNKNOWN, endedRun, workflow = UNKNOWN, expiresAt } = Item;
      const until = new Date(Number(expiresAt?.N ?? 0) + TAKEOVER_MARGIN_MS).toISOString();
      const by = (endedRun ?? owner).S ?? UNKNOWN.S;
      return { kind: 'held', by, workflow: workflow.S ?? UNKNOWN.S, until, ended: endedRun !== undefined };
    } catch (error) {
      throw this.#explain('read', error);
    }
  }

  /** Loaded when first needed: a run without a table never pays for it. */
  async #connect(): Promise<{ sdk: Sdk; client: DynamoDBClient }> {
    const sdk = await import('@aws-sdk/client-dynamodb');
    this.#client ??= new sdk.DynamoDBClient(clientDefaults);
    return { sdk, client: this.#client };
  }

  #explain(what: string, cause: unknown): EtcdMedicError {
    if (isSetupProblem(cause)) return new SetupError(`${this.#name}: not allowed or not there`, { cause });
    return new LeaseError(`${this.#name}: tried to ${what} it and don't know whether that was done`, { cause });
  }
}

type Sdk = typeof import('@aws-sdk/client-dynamodb');
