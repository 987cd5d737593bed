// Does something once, although its event may be delivered twice: the state table remembers what was done.
import { createHash } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { clientDefaults } from '../aws/client.ts';
import { describeError } from '../contract/errors.ts';
import { NotificationError } from './errors.ts';

/**
 * How long whoever begins keeps others away. Longer than the function may run, and shorter than the minute that Lambda
 * waits before it tries an event again: an attempt that crashed is out of the next one's way.
 */
export const CLAIM_MS = 50_000;

/** EventBridge tries for a day; what lay in the dead-letter queue for two weeks is still known after that. */
const RETENTION_DAYS = 30;

export interface Once {
  readonly table: string;
  readonly cluster: string;
  /** What is to be done: the same for each delivery of the event. */
  readonly identity: string;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

export interface OnceResult {
  readonly kind: 'done' | 'done before';
  /** Why it isn't remembered, so that it may be done a second time. */
  readonly problem?: string;
}

/**
 * Does `work`, unless it is remembered as done. Where the table can't be used it is done all the same: told twice is
 * better than not told.
 * @throws what `work` throws: then it is not remembered, and the next attempt does it
 * @throws NotificationError where another delivery is at it right now
 */
export async function once(options: Once, work: () => Promise<void>): Promise<OnceResult> {
  using record = new Marker(options);
  let claim: Claim | { readonly problem: string };
  try {
    claim = await record.claim();
  } catch (error) {
    claim = { problem: describeError(error) };
  }
  if (claim === 'done before') return { kind: claim };
  if (claim === 'under way') {
    throw new NotificationError(
      `another delivery of the same event is at it (${options.identity}); it is looked at again`,
    );
  }
  try {
    await work();
  } catch (error) {
    // The next attempt need not wait. Where this fails too, the claim runs out by itself.
    if (claim === 'mine') await record.giveBack().catch(() => undefined);
    throw error;
  }
  if (claim !== 'mine') return { kind: 'done', ...claim };
  try {
    await record.done();
    return { kind: 'done' };
  } catch (error) {
    return { kind: 'done', problem: describeError(error) };
  }
}

type Claim = 'mine' | 'under way' | 'done before';

/** One item of the table: `notified#<hash of the identity>`. */
class Marker implements Disposable {
  readonly #client = new DynamoDBClient(clientDefaults);
  readonly #address;
  readonly #now: () => number;

  constructor({ table, cluster, identity, now = Date.now }: Once) {
    const hash = createHash('sha256').update(identity).digest('hex').slice(0, 32);
    this.#address = { TableName: table, Key: { cluster: { S: cluster }, record: { S: `notified#${hash}` } } };
    this.#now = now;
  }

  async claim(): Promise<Claim> {
    const now = this.#now();
    const { TableName, Key } = this.#address;
    const expiresAtEpochSeconds = Math.floor(now / 1_000) + RETENTION_DAYS * 24 * 60 * 60;
    const put = new PutItemCommand({
      TableName,
      Item: {
        ...Key,
        claimedUntil: { N: String(now + CLAIM_MS) },
        expiresAtEpochSeconds: { N: String(expiresAtEpochSeconds) },
      },
      ConditionExpression:
        'attribute_not_exists(claimedUntil) OR (attribute_not_exists(doneAt) AND claimedUntil < :now)',
      ExpressionAttributeValues: { ':now': { N: String(now) } },
    });
    try {
      await this.#client.send(put);
      return 'mine';
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    }
    const { Item } = await this.#client.send(new GetItemCommand({ ...this.#address, ConsistentRead: true }));
    return Item?.doneAt === undefined ? 'under way' : 'done before';
  }

  async giveBack(): Promise<void> {
    await this.#client.send(
      new DeleteItemCommand({ ...this.#address, ConditionExpression: 'attribute_not_exists(doneAt)' }),
    );
  }

  async done(): Promise<void> {
    const update = new UpdateItemCommand({
      ...this.#address,
      UpdateExpression: 'SET doneAt = :now',
      ExpressionAttributeValues: { ':now': { N: String(this.#now()) } },
    });
    await this.#client.send(update);
  }

  [Symbol.dispose](): void {
    this.#client.destroy();
  }
}
