// Finds all members of a cluster from whichever of the given endpoints answer, and keeps one connection to each.
import { describeError, InvalidInputError } from '../run/errors.ts';
import {
  DifferentClustersError,
  type EndpointProblem,
  EtcdTimeoutError,
  EtcdTlsError,
  EtcdUnreachableError,
  NoMemberAnsweredError,
  NotEtcdError,
} from './errors.ts';
import { connectMember, DEFAULT_DEADLINES, type MemberOptions } from './member-client.ts';
import { type Attempt, isUsable, Search } from './search.ts';
import type { Deadlines, DiscoveredMember, Discovery, Member, MemberClient, TlsMaterial } from './types.ts';

export interface DiscoveryOptions {
  /** Client URLs; one that answers is enough. */
  readonly endpoints: readonly string[];
  /** For https endpoints. */
  readonly tls?: TlsMaterial | undefined;
  /** The whole search takes no longer than `statusMs`. @default DEFAULT_DEADLINES */
  readonly deadlines?: Partial<Deadlines> | undefined;
  /** @default connectMember */
  readonly connect?: ((options: MemberOptions) => MemberClient) | undefined;
}

/** The members of a cluster with an open connection to each that answers; dispose of it to close them. */
export class EtcdCluster implements Discovery, AsyncDisposable {
  readonly clusterId: string;
  readonly members: readonly DiscoveredMember[];
  /** The given endpoints that no member answered at. */
  readonly endpointProblems: readonly EndpointProblem[];
  readonly #clients: ReadonlyMap<string, MemberClient>;

  constructor(
    { clusterId, members }: Discovery,
    endpointProblems: readonly EndpointProblem[],
    clients: ReadonlyMap<string, MemberClient>,
  ) {
    this.clusterId = clusterId;
    this.members = members;
    this.endpointProblems = endpointProblems;
    this.#clients = clients;
  }

  /** The connection to a member; undefined where none could be made. */
  client(memberId: string): MemberClient | undefined {
    return this.#clients.get(memberId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client[Symbol.asyncDispose]()));
  }
}

/**
 * Asks all endpoints at once who they are, takes the member list of the one that is furthest on, and tries the members that are
 * behind none of them at their own client URLs.
 * @throws NoMemberAnsweredError, DifferentClustersError; InvalidInputError for endpoints and credentials that can't be used
 */
export async function discoverMembers(options: DiscoveryOptions): Promise<EtcdCluster> {
  const { endpoints, tls, deadlines, connect = connectMember } = options;
  if (endpoints.length === 0) {
    throw new InvalidInputError('etcd.endpoints', ['found an empty list, expected at least one client URL']);
  }
  const timeoutMs = deadlines?.statusMs ?? DEFAULT_DEADLINES.statusMs;
  const search = new Search((endpoint) => connect({ endpoint, tls, deadlines }), timeoutMs);
  try {
    await search.run(endpoints);
    const clusterId = oneCluster(search.given);
    const list = search.list;
    if (clusterId === undefined || list === undefined) throw nobody(search.given);

    const members = list.map((member) => discovered(member, search, clusterId));
    const clients = new Map(
      list.flatMap(({ id }) => {
        const client = search.reached(id, clusterId)?.client;
        return client ? [[id, client] as const] : [];
      }),
    );
    await search.closeAllBut(new Set(clients.values()));
    return new EtcdCluster({ clusterId, members }, endpointProblems(search.given, list), clients);
  } catch (error) {
    await search.closeAllBut(new Set());
    throw error;
  }
}

function discovered(member: Member, search: Search, clusterId: string): DiscoveredMember {
  const attempt = search.reached(member.id, clusterId);
  const attempts = search.attemptsAt(member);
  return attempt
    ? { ...member, endpoint: attempt.endpoint, problem: undefined, silent: false }
    : {
        ...member,
        endpoint: undefined,
        problem: problemOf(member, search),
        // Who was not asked has not been silent: a URL of no use here, or one that only a late answer told of.
        silent: attempts.length > 0 && attempts.every(isSilent),
      };
}

function isSilent({ error }: Attempt): boolean {
  return error instanceof EtcdUnreachableError || error instanceof EtcdTimeoutError;
}

function problemOf(member: Member, search: Search): string {
  if (member.clientUrls.length === 0) return 'it was added to the cluster and has never been started';
  const unusable = member.clientUrls.filter((url) => !isUsable(url));
  const problems = [
    ...search.attemptsAt(member).map(whyNot),
    ...unusable.map((url) => `${url} can't be reached from here`),
  ];
  return problems.join('; ') || 'it was not asked: who told of it answered too late';
}

function endpointProblems(given: readonly Attempt[], list: readonly Member[]): readonly EndpointProblem[] {
  const known = new Set(list.map(({ id }) => id));
  return given
    .filter(({ answer }) => answer === undefined || !known.has(answer.status.memberId))
    .map((attempt) => ({ endpoint: attempt.endpoint, problem: whyNot(attempt), silent: isSilent(attempt) }));
}

/** One sentence that names the endpoint. */
function whyNot({ endpoint, answer, error }: Attempt): string {
  if (error !== undefined) return describeError(error);
  if (answer === undefined) return `${endpoint} has not answered`;
  const { status, clusterId } = answer;
  const who = `${endpoint} answers as member ${status.memberId} of cluster ${clusterId}`;
  return status.isLearner
    ? `${who}, a learner, which does not tell the member list`
    : `${who}, which is not in the list`;
}

/**
 * @returns undefined when nobody answered
 * @throws DifferentClustersError
 */
function oneCluster(given: readonly Attempt[]): string | undefined {
  const found = given.flatMap(({ endpoint, answer }) => (answer ? [{ endpoint, clusterId: answer.clusterId }] : []));
  const ids = new Set(found.map(({ clusterId }) => clusterId));
  const [first] = ids;
  if (ids.size <= 1) return first;
  const each = found.map(({ endpoint, clusterId }) => `${endpoint} is of cluster ${clusterId}`).join(', ');
  throw new DifferentClustersError(
    `the endpoints belong to ${ids.size} clusters: ${each}. Give those of one cluster only`,
  );
}

const COMMON_CAUSES = [
  { type: EtcdTlsError, text: 'TLS failed at every one of them: look at the CA and at the client certificate first' },
  {
    type: EtcdTimeoutError,
    text: 'all time out: look at security groups and routes, or whether the members are stalled',
  },
  { type: EtcdUnreachableError, text: 'none can be reached: look whether etcd runs, and at addresses and ports' },
  { type: NotEtcdError, text: 'what answers is not etcd: look at addresses and ports' },
] as const;

function nobody(given: readonly Attempt[]): NoMemberAnsweredError {
  const problems = given.map((attempt) => ({
    endpoint: attempt.endpoint,
    problem: whyNot(attempt),
    silent: isSilent(attempt),
  }));
  const common = COMMON_CAUSES.find(({ type }) => given.every(({ error }) => error instanceof type));
  const who = given.length === 1 ? 'the endpoint did not answer' : `none of the ${given.length} endpoints answered`;
  return new NoMemberAnsweredError(`${who} as a member of etcd${common ? `; ${common.text}` : ''}`, problems);
}
