// Finds all members of a cluster from whichever of the given endpoints answer, and keeps one connection to each.
import { describeError, InvalidInputError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { type Attempt, isSilent } from './attempt.ts';
import {
  DifferentClustersError,
  type EndpointProblem,
  EtcdTimeoutError,
  EtcdTlsError,
  EtcdUnreachableError,
  NoMemberAnsweredError,
  NotEtcdError,
  WrongMemberError,
} from './errors.ts';
import { connectMember, type MemberOptions } from './member-client.ts';
import { isUsable, Search, usableUrls } from './search.ts';
import type { Deadlines, DiscoveredMember, Discovery, Member, MemberClient } from './types.ts';

export interface DiscoveryOptions {
  /** Client URLs; one that answers is enough. */
  readonly endpoints: readonly string[];
  /** For https endpoints. */
  readonly tls?: TlsMaterial | undefined;
  /**
   * `statusMs` is each address's own time: the search takes up to two of them, a given endpoint that hangs and a
   * member's own URL.
   * @default DEFAULT_DEADLINES
   */
  readonly deadlines?: Partial<Deadlines> | undefined;
  /** Ends the search early, with what is known by then. @default each address has its full time */
  readonly giveUp?: AbortSignal | undefined;
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
 * Asks all endpoints at once who they are, and takes the member list of the one that is furthest on. Then each member
 * is reached at a client URL of its own, one that it alone advertises, whatever the endpoints were: behind one that
 * leads to several members nobody knows whom the next connection reaches (R19). Only where none of a member's own URLs
 * answers, a given endpoint serves that leads to it alone.
 * @throws NoMemberAnsweredError, DifferentClustersError; InvalidInputError for endpoints and credentials that can't be
 *   used
 */
export async function discoverMembers(options: DiscoveryOptions): Promise<EtcdCluster> {
  const { endpoints, tls, deadlines, giveUp, connect = connectMember } = options;
  if (endpoints.length === 0) {
    throw new InvalidInputError('etcd.endpoints', ['found an empty list, expected at least one client URL']);
  }
  const search = new Search((endpoint, memberId) => connect({ endpoint, memberId, tls, deadlines }), giveUp);
  try {
    await search.run(endpoints);
    const clusterId = oneCluster(search.given);
    const list = search.list;
    if (clusterId === undefined || list === undefined) throw nobody(search.given);

    const members = list.map((member) => discovered(member, search, list));
    const clients = new Map(
      list.flatMap((member) => {
        const client = search.reached(member)?.client;
        return client ? [[member.id, client] as const] : [];
      }),
    );
    await search.closeAllBut(new Set(clients.values()));
    return new EtcdCluster({ clusterId, members }, endpointProblems(search.given, list), clients);
  } catch (error) {
    await search.closeAllBut(new Set());
    throw error;
  }
}

function discovered(member: Member, search: Search, list: readonly Member[]): DiscoveredMember {
  const attempt = search.reached(member);
  if (attempt) return { ...member, endpoint: attempt.endpoint, problem: undefined, silent: false };
  // Where one whose own URLs say nothing is alive all the same, they can't be reached from here, and nobody's silence
  // says anything.
  const isCutOff = list.some((other) => isSilentAtOwn(other, search) && search.unfit(other).length > 0);
  return {
    ...member,
    endpoint: undefined,
    problem: problemOf(member, search, list),
    silent: isSilentAtOwn(member, search) && !isCutOff,
    shared: isAdvertisedByOthers(member, search) || search.unfit(member).some((attempt) => isShared(attempt, search)),
    seen: search.unfit(member).find(({ status }) => status !== undefined)?.status,
  };
}

/** Not where it was only not to be had a second time. */
function isShared(attempt: Attempt, search: Search): boolean {
  const error = search.secondThoughts(attempt);
  return error === undefined || error instanceof WrongMemberError;
}

function isAdvertisedByOthers(member: Member, search: Search): boolean {
  return usableUrls(member).length > 0 && search.ownUrls(member).length === 0;
}

/** Who was not asked has not been silent: a URL of no use here, or one that leads to others as well. */
function isSilentAtOwn(member: Member, search: Search): boolean {
  const attempts = search.attemptsAt(member);
  return attempts.length > 0 && attempts.every(isSilent);
}

function problemOf(member: Member, search: Search, list: readonly Member[]): string {
  if (member.clientUrls.length === 0) {
    return `it was added to the cluster and has never been started, so it has no name and no client URL. Start it, or take it out again: etcdctl member remove ${member.id}`;
  }
  const unusable = member.clientUrls.filter((url) => !isUsable(url));
  const problems = [
    ...search.attemptsAt(member).map(whyNot),
    ...unusable.map((url) => `${url} can't be reached from here`),
    ...usableUrls(member).flatMap((url) => sharedUrl(url, list)),
    ...search
      .unfit(member)
      .filter(({ endpoint }) => !usableUrls(member).includes(endpoint))
      .map((attempt) => unfit(attempt, search.secondThoughts(attempt))),
  ];
  return problems.join('; ') || 'it was not asked: who told of it answered too late';
}

function unfit({ endpoint }: Attempt, error: Error | undefined): string {
  if (error !== undefined && !(error instanceof WrongMemberError)) return describeError(error);
  return `${endpoint} leads to it, and to other members as well, so it only tells who is there`;
}

/** A URL that several members advertise, as a sentence with what to do about it. */
function sharedUrl(url: string, list: readonly Member[]): readonly string[] {
  const advertisedBy = list.filter((member) => usableUrls(member).includes(url));
  if (advertisedBy.length < 2) return [];
  const names = advertisedBy.map(({ id, name }) => (name ? `${name} (${id})` : id)).join(' and ');
  return [
    `${url} is advertised by ${names}, so nobody can choose who answers there: start each of them with an --advertise-client-urls that leads to it alone`,
  ];
}

function endpointProblems(given: readonly Attempt[], list: readonly Member[]): readonly EndpointProblem[] {
  const known = new Set(list.map(({ id }) => id));
  return given
    .filter(({ answer }) => answer === undefined || !known.has(answer.memberId))
    .map((attempt) => ({ endpoint: attempt.endpoint, problem: whyNot(attempt), silent: isSilent(attempt) }));
}

/** One sentence that names the endpoint. */
function whyNot({ endpoint, answer, error }: Attempt): string {
  if (error !== undefined) return describeError(error);
  if (answer === undefined) return `${endpoint} has not answered`;
  const { memberId, clusterId, list } = answer;
  const who = `${endpoint} answers as member ${memberId} of cluster ${clusterId}`;
  return list === undefined
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
