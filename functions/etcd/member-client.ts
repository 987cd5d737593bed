// One member of an etcd cluster, as the workflows talk to it: plain data in and out, every call to this member and sent
// once.
import type { IMember } from 'etcd3/lib/rpc.js';
import type { Alarm } from '../contract/alarm.ts';
import { InvalidInputError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { checkTlsMaterial } from '../contract/tls-material.ts';
import type { Method, Request, Response } from './calls.ts';
import { MemberConnection } from './connection.ts';
import { isTls, normalizeEndpoint } from './endpoint.ts';
import { EtcdError, isCompacted, PermissionDeniedError } from './errors.ts';
import { isFeatureOn, MetricsPage, parseOpenSnapshots, parseRaftSnapshots } from './metrics.ts';
import { quotaFromMetrics, quotaFromStatus } from './quota.ts';
import { alarmType, decimalId, decodeStatus, hexId, toMemberStatus } from './status.ts';
import type {
  ContentHash,
  Deadlines,
  KeyRange,
  KeyRangeRequest,
  Member,
  MemberClient,
  MemberStatus,
  Quota,
  RaftSnapshots,
  ReadKey,
  Right,
  SnapshotChunk,
  StoredValue,
} from './types.ts';

export interface MemberOptions {
  /** The client URL: `https://10.0.0.1:2379`, or `http://…` for plain text. */
  readonly endpoint: string;
  /** Hexadecimal: whose client it is. Another member's answer is a WrongMemberError. @default whoever answers first */
  readonly memberId?: string | undefined;
  /** For https; a plain http endpoint does not use it. */
  readonly tls?: TlsMaterial | undefined;
  /** @default DEFAULT_DEADLINES for each that is left out */
  readonly deadlines?: Partial<Deadlines> | undefined;
}

export const DEFAULT_DEADLINES: Deadlines = {
  statusMs: 5_000,
  // Without a quorum etcd itself gives up after 7 s; that it is not healthy is known by then.
  healthMs: 5_000,
  // Longer than etcd's own 7 s, so that it is etcd that says that there is no quorum.
  alarmMs: 10_000,
  writeMs: 10_000,
  moveLeaderMs: 10_000,
  // Gigabytes of history on a busy disk take minutes; a Lambda function has 15.
  compactMs: 300_000,
  defragmentMs: 300_000,
  // Gigabytes of live data on a busy disk.
  hashMs: 120_000,
  // Before its first byte a member commits what it has under way, and a busy disk may hold up any later one.
  snapshotSilenceMs: 30_000,
};

/**
 * The largest int64. No store ever gets there, so that a call for it is refused without a look at the data (tried on
 * 3.4.23 to 3.7.3).
 */
const REVISION_BEYOND_ALL = '9223372036854775807';

/** Of one transaction: etcd's default for --max-txn-ops is 128. */
export const MAX_DELETES = 100;

/** Read by every health check, as etcdctl does it; it need not exist. */
const HEALTH_KEY = 'health';

/**
 * Connects to one member; the connection itself is made with the first call.
 * @throws InvalidInputError for an endpoint that is no client URL, https without credentials, or credentials that can't
 *   work
 */
export function connectMember(options: MemberOptions): MemberClient {
  const { tls } = options;
  if (isTls(options.endpoint)) {
    if (!tls) {
      throw new InvalidInputError('etcd.credentials', [
        `found nothing, expected credentials, because ${options.endpoint} is https`,
      ]);
    }
    checkOnce(tls);
  }
  return new GrpcMemberClient(options);
}

const checked = new WeakSet<TlsMaterial>();

/** The same material serves for all members of a cluster. */
function checkOnce(tls: TlsMaterial): void {
  if (checked.has(tls)) return;
  checkTlsMaterial(tls, new Date());
  checked.add(tls);
}

class GrpcMemberClient implements MemberClient {
  readonly endpoint: string;
  readonly #connection: MemberConnection;
  readonly #deadlines: Deadlines;
  readonly #metrics: MetricsPage;

  constructor({ endpoint, memberId, tls, deadlines }: MemberOptions) {
    this.endpoint = normalizeEndpoint(endpoint);
    this.#metrics = new MetricsPage(this.endpoint, tls);
    this.#deadlines = { ...DEFAULT_DEADLINES, ...deadlines };
    this.#connection = new MemberConnection(this.endpoint, tls, memberId);
  }

  get heard(): boolean {
    return this.#connection.heard;
  }

  get remoteAddress(): string | undefined {
    return this.#connection.remoteAddress;
  }

  async status(): Promise<MemberStatus> {
    return (await this.identify()).status;
  }

  async identify(): Promise<{ clusterId: string; status: MemberStatus }> {
    const response = await this.#connection.call('Status', {}, this.#deadlines.statusMs, decodeStatus);
    return { clusterId: hexId(response.header.cluster_id), status: toMemberStatus(response) };
  }

  async quota(): Promise<Quota> {
    const status = await this.status();
    return (
      quotaFromStatus(status) ?? (await quotaFromMetrics(this.#metrics, this.#deadlines.statusMs, status.memberId))
    );
  }

  async openSnapshots(): Promise<number> {
    const open = parseOpenSnapshots(await this.#metricsPage());
    if (open !== undefined) return open;
    throw new EtcdError(
      { endpoint: this.endpoint, method: 'GET /metrics' },
      'not-done',
      'the page does not count Snapshot streams',
    );
  }

  async raftSnapshots(): Promise<RaftSnapshots> {
    return parseRaftSnapshots(await this.#metricsPage());
  }

  async hasFeature(name: string): Promise<boolean> {
    return isFeatureOn(await this.#metricsPage(), name);
  }

  async checkHealth(): Promise<void> {
    try {
      await this.#read({ serializable: false });
    } catch (error) {
      if (!(error instanceof PermissionDeniedError)) throw error;
      await this.#checkRefused();
    }
  }

  async checkServing(): Promise<void> {
    await this.#read({ serializable: true });
  }

  async alarms(): Promise<readonly Alarm[]> {
    const { alarms } = await this.#connection.call('Alarm', { action: 'Get' }, this.#deadlines.alarmMs);
    return alarms.map(({ memberID, alarm }) => ({ memberId: hexId(memberID), type: alarmType(alarm) }));
  }

  async tryRight(right: Right): Promise<void> {
    try {
      await this.#callInVain(right);
    } catch (error) {
      if (!(error instanceof EtcdError && /required revision is a future revision/.test(error.message))) throw error;
    }
  }

  async compact(revision: bigint): Promise<'compacted' | 'already-compacted'> {
    try {
      await this.#change('Compact', { revision: `${revision}`, physical: true }, this.#deadlines.compactMs);
      return 'compacted';
    } catch (error) {
      // etcd answers so only once this member's own compaction to that revision is through, whoever asked for it.
      if (isCompacted(error)) return 'already-compacted';
      throw error;
    }
  }

  async defragment(): Promise<void> {
    await this.#change('Defragment', {}, this.#deadlines.defragmentMs);
  }

  async moveLeader(toMemberId: string): Promise<void> {
    await this.#change('MoveLeader', { targetID: decimalId(toMemberId) }, this.#deadlines.moveLeaderMs);
  }

  /** R7: there is no way to disarm anything else. */
  async disarmNospace(memberId: string): Promise<void> {
    const request = { action: 'Deactivate', memberID: decimalId(memberId), alarm: 'Nospace' } as const;
    await this.#change('Alarm', request, this.#deadlines.alarmMs);
  }

  async memberList(): Promise<{ clusterId: string; memberId: string; members: readonly Member[] }> {
    // Not linearizable: a member that has lost the quorum still tells who there should be.
    const response = await this.#connection.call('MemberList', { linearizable: false }, this.#deadlines.statusMs);
    const { cluster_id, member_id } = response.header;
    return { clusterId: hexId(cluster_id), memberId: hexId(member_id), members: response.members.map(toMember) };
  }

  async keyRange({ from, to, limit, measureValues = false }: KeyRangeRequest): Promise<KeyRange> {
    const request = {
      key: Buffer.from(from),
      range_end: Buffer.from(to),
      limit,
      keys_only: !measureValues,
      serializable: true,
    };
    const { count, kvs } = await this.#connection.call('Range', request, this.#deadlines.healthMs);
    return {
      count: Number(count),
      keys: kvs.map(({ key, value }) => ({
        key: key.toString(),
        valueBytes: measureValues ? value.length : undefined,
      })),
    };
  }

  async values({ from, to, limit }: Omit<KeyRangeRequest, 'measureValues'>): Promise<readonly StoredValue[]> {
    const request = { key: Buffer.from(from), range_end: Buffer.from(to), limit, serializable: true };
    const { kvs } = await this.#connection.call('Range', request, this.#deadlines.writeMs);
    return kvs.map(({ key, value, mod_revision }) => ({ key: key.toString(), value, modRevision: mod_revision }));
  }

  async contentHash(revision: bigint): Promise<ContentHash> {
    const request = { revision: `${revision}` };
    const { hash, compact_revision } = await this.#connection.call('HashKV', request, this.#deadlines.hashMs);
    return { hash: Number(hash).toString(16).padStart(8, '0'), compactRevision: BigInt(compact_revision) };
  }

  async canReadAt(revision: bigint): Promise<boolean> {
    const request = { ...healthRead({ serializable: true }), revision: `${revision}` };
    try {
      await this.#connection.call('Range', request, this.#deadlines.healthMs);
      return true;
    } catch (error) {
      if (isCompacted(error)) return false;
      throw error;
    }
  }

  async put(key: string, value: string): Promise<void> {
    await this.#change('Put', { key: Buffer.from(key), value: Buffer.from(value) }, this.#deadlines.writeMs);
  }

  async delete(key: string): Promise<number> {
    const { deleted } = await this.#change('DeleteRange', { key: Buffer.from(key) }, this.#deadlines.writeMs);
    return Number(deleted);
  }

  async deleteUnchanged(keys: readonly ReadKey[]): Promise<boolean> {
    if (keys.length > MAX_DELETES) throw new RangeError(`found ${keys.length} keys, expected at most ${MAX_DELETES}`);
    const request = {
      compare: keys.map(({ key, modRevision }) => ({
        key: Buffer.from(key),
        result: 'Equal' as const,
        target: 'Mod' as const,
        mod_revision: modRevision,
      })),
      success: keys.map(({ key }) => ({ request_delete_range: { key: Buffer.from(key) } })),
    };
    return (await this.#change('Txn', request, this.#deadlines.writeMs)).succeeded;
  }

  async *snapshot(): AsyncGenerator<SnapshotChunk, void, void> {
    for await (const { blob, remaining_bytes } of this.#connection.stream(
      'Snapshot',
      {},
      this.#deadlines.snapshotSilenceMs,
      this.#deadlines.statusMs,
    )) {
      yield { bytes: blob, remainingBytes: Number(remaining_bytes) };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection[Symbol.dispose]();
    this.#metrics[Symbol.dispose]();
  }

  #change<M extends Method>(method: M, request: Request<M>, timeoutMs: number): Promise<Response<M>> {
    return this.#connection.change(method, request, timeoutMs, this.#deadlines.statusMs);
  }

  async #metricsPage(): Promise<string> {
    const memberId = this.#connection.memberId ?? (await this.memberList()).memberId;
    return this.#metrics.fetch(this.#deadlines.statusMs, memberId);
  }

  /** Over a connection that is proven: a refusal doesn't say who answers. */
  async #callInVain(right: Right): Promise<void> {
    const { statusMs, alarmMs } = this.#deadlines;
    switch (right) {
      case 'HashKV':
        await this.#change('HashKV', { revision: REVISION_BEYOND_ALL }, statusMs);
        return;
      case 'Compact':
        await this.#change('Compact', { revision: REVISION_BEYOND_ALL }, alarmMs);
        return;
      case 'Alarm':
        // No member has the id 0: etcd says OK and does nothing.
        await this.#change('Alarm', { action: 'Deactivate', memberID: '0', alarm: 'Nospace' }, alarmMs);
    }
  }

  /**
   * etcdctl sees it the same way: a refusal by etcd's authorization has been agreed on by a majority. But no error says
   * who answers it, so it only counts on a connection that is proven.
   */
  async #checkRefused(): Promise<void> {
    try {
      await this.#change('Range', healthRead({ serializable: false }), this.#deadlines.healthMs);
    } catch (error) {
      if (!(error instanceof PermissionDeniedError)) throw error;
    }
  }

  async #read({ serializable }: { readonly serializable: boolean }): Promise<void> {
    await this.#connection.call('Range', healthRead({ serializable }), this.#deadlines.healthMs);
  }
}

function healthRead({ serializable }: { readonly serializable: boolean }): Request<'Range'> {
  return { key: Buffer.from(HEALTH_KEY), limit: 1, keys_only: true, serializable };
}

function toMember({ ID, name, clientURLs, isLearner }: IMember): Member {
  return { id: hexId(ID), name, clientUrls: clientURLs, isLearner };
}
