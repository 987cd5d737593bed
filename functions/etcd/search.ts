// Asks client URLs who they are, and finds for each member the address that is its own (R19).

import { type Answer, type Attempt, asError, isDone, RunningAttempt } from './attempt.ts';
import { normalizeEndpoint } from './endpoint.ts';
import { LearnerError } from './errors.ts';
import type { Member, MemberClient } from './types.ts';

/** `memberId`: whom it is meant for; undefined: to find out who is there. */
export type Connect = (endpoint: string, memberId: string | undefined) => MemberClient;

/** Given endpoints that hang must not hold up the members behind the others: those are looked for after this time. */
const GIVEN_ENDPOINTS_FIRST_MS = 200;
/** Where a given endpoint leads to a member and its own URLs don't answer at once, so long is waited for them. */
const OWN_URLS_FIRST_MS = 1_000;
/** Behind a balancer that chooses among three at random, one in 81 goes unnoticed; then an answer or a proof tells. */
const FRESH_CONNECTIONS = 5;

export class Search {
  readonly #connect: Connect;
  readonly #giveUp: AbortSignal | undefined;
  /** By endpoint, the given ones first and in their order. */
  readonly #attempts = new Map<string, RunningAttempt>();
  #given: readonly RunningAttempt[] = [];
  /**
   * Given endpoints that are no member's own URL, and why they don't lead to who answered there alone; undefined: they
   * do.
   */
  readonly #triedAgain = new Map<Attempt, Error | undefined>();
  /** Whoever waits for something new to be known. */
  readonly #waiting = new Set<() => void>();

  /** @param giveUp ends it early, with what is known by then */
  constructor(connect: Connect, giveUp?: AbortSignal) {
    this.#connect = connect;
    this.#giveUp = giveUp;
  }

  /**
   * Asks the given endpoints, then each member at the client URLs that are its own. A given endpoint that is no
   * member's own serves where a member's own do not answer, and it alone answers there. Never throws for an endpoint's
   * sake.
   */
  async run(endpoints: readonly string[]): Promise<void> {
    this.#given = [...new Set(endpoints.map((endpoint) => this.#ask(endpoint, undefined)))];
    await this.#until(() => this.#given.every(({ told }) => told), GIVEN_ENDPOINTS_FIRST_MS);
    await this.#until(() => this.#given.every(isDone) || this.#lists().length > 0);
    // Which of different lists is the newest is known by what their members have applied.
    await this.#until(() => new Set(this.#lists().map(textOf)).size <= 1 || this.#lists().every(({ told }) => told));
    const list = this.list ?? [];
    for (const member of list) for (const url of this.ownUrls(member)) this.#ask(url, member.id);
    const isReached = (member: Member) => this.#ownAttempt(member) !== undefined;
    const isMissed = (member: Member) => this.attemptsAt(member).every(isDone);
    await this.#until(() => list.every((member) => isReached(member) || isMissed(member)), OWN_URLS_FIRST_MS);
    const mayServe = (member: Member) => this.#candidates(member).length > 0;
    const isSettled = (member: Member) => isMissed(member) && this.#given.every(isDone);
    await this.#until(() => list.every((member) => isReached(member) || mayServe(member) || isSettled(member)));
    await Promise.all(list.filter((member) => !isReached(member)).map((member) => this.#tryGiven(member)));
    // Who can't be worked with is told by what it said of itself.
    const isTold = (attempt: RunningAttempt) => isDone(attempt) && (list.every(isReached) || attempt.told);
    await this.#until(() => this.#given.every(isTold));
    for (const attempt of this.#attempts.values()) attempt.giveUp(this.#giveUp?.reason);
  }

  get given(): readonly Attempt[] {
    return this.#given;
  }

  /**
   * The member list of the given endpoint that has applied most: one that was cut off for a while may have an old one.
   */
  get list(): readonly Member[] | undefined {
    return this.#newest()?.list;
  }

  #newest(): Answer | undefined {
    const applied = ({ status }: Attempt) => status?.raftAppliedIndex ?? -1n;
    const newest = [...this.#lists()].sort((a, b) =>
      applied(a) < applied(b) ? 1 : applied(a) > applied(b) ? -1 : 0,
    )[0];
    return newest?.answer;
  }

  /**
   * Where the member can be worked with: at a client URL of its own, or else at a given endpoint that leads to it
   * alone.
   */
  reached(member: Member): Attempt | undefined {
    return this.#ownAttempt(member) ?? this.#candidates(member).find((attempt) => this.#leadsToItAlone(attempt));
  }

  /** The client URLs that this member alone advertises, and that are of use from here. */
  ownUrls({ id, clientUrls }: Member): readonly string[] {
    const others = new Set((this.list ?? []).filter((other) => other.id !== id).flatMap(usableUrls));
    return usableUrls({ clientUrls }).filter((url) => !others.has(url));
  }

  /** What was asked at the member's own client URLs. */
  attemptsAt(member: Member): readonly Attempt[] {
    return this.ownUrls(member).flatMap((url) => this.#attempts.get(url) ?? []);
  }

  /** The given endpoints at which this member answered, and that do not serve. */
  unfit(member: Member): readonly Attempt[] {
    return this.#given.filter((attempt) => attempt.answer?.memberId === member.id && attempt !== this.reached(member));
  }

  /**
   * Why a given endpoint does not lead to who answered there, when it was asked once more; undefined: it was not, or it
   * does.
   */
  secondThoughts(attempt: Attempt): Error | undefined {
    return this.#triedAgain.get(attempt);
  }

  async closeAllBut(kept: ReadonlySet<MemberClient>): Promise<void> {
    const rest = [...this.#attempts.values()].filter(({ client }) => !kept.has(client));
    await Promise.all(rest.map(({ client }) => client[Symbol.asyncDispose]()));
  }

  #lists(): readonly RunningAttempt[] {
    return this.#given.filter(({ answer }) => answer?.list !== undefined);
  }

  #ownAttempt(member: Member): Attempt | undefined {
    const clusterId = this.#newest()?.clusterId;
    return this.attemptsAt(member).find(
      ({ answer }) => answer?.memberId === member.id && answer.clusterId === clusterId,
    );
  }

  /** Given endpoints that nobody advertises, at which this member answered. */
  #candidates({ id }: Member): readonly Attempt[] {
    const advertised = new Set((this.list ?? []).flatMap(usableUrls));
    return this.#given.filter(({ endpoint, answer }) => answer?.memberId === id && !advertised.has(endpoint));
  }

  #leadsToItAlone(attempt: Attempt): boolean {
    return this.#triedAgain.has(attempt) && this.#triedAgain.get(attempt) === undefined;
  }

  async #tryGiven(member: Member): Promise<void> {
    for (const attempt of this.#candidates(member)) {
      this.#triedAgain.set(attempt, await this.#tryAgain(member.id, attempt.endpoint));
      if (this.#leadsToItAlone(attempt)) return;
    }
  }

  /** @returns why it does not lead to this member alone, as far as can be seen; undefined: it does */
  async #tryAgain(memberId: string, endpoint: string): Promise<Error | undefined> {
    const clients = Array.from({ length: FRESH_CONNECTIONS }, () => this.#connect(endpoint, memberId));
    try {
      let outcome: Error | 'alone' | undefined;
      Promise.all(clients.map(whoAnswers))
        .then(
          () => 'alone' as const,
          (error: unknown) => asError(error),
        )
        .then((known) => {
          outcome = known;
          this.#wake();
        });
      await this.#until(() => outcome !== undefined);
      if (outcome === undefined) return asError(this.#giveUp?.reason);
      return outcome === 'alone' ? undefined : outcome;
    } finally {
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    }
  }

  #ask(url: string, memberId: string | undefined): RunningAttempt {
    const endpoint = normalizeEndpoint(url);
    const known = this.#attempts.get(endpoint);
    if (known) return known;
    const attempt = new RunningAttempt(endpoint, this.#connect(endpoint, memberId), () => this.#wake());
    this.#attempts.set(endpoint, attempt);
    // Of a member that is known, nothing but its identity is of interest here.
    void attempt.identify({ withStatus: memberId === undefined });
    return attempt;
  }

  /**
   * Waits until `condition` holds. Every attempt ends by itself.
   * @param withinMs how long at most. @default until then
   */
  async #until(condition: () => boolean, withinMs?: number): Promise<void> {
    const late = withinMs === undefined ? undefined : AbortSignal.timeout(withinMs);
    const ends = [this.#giveUp, late].filter((signal) => signal !== undefined);
    const wake = () => this.#wake();
    for (const signal of ends) signal.addEventListener('abort', wake);
    while (!condition() && !ends.some(({ aborted }) => aborted)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
    for (const signal of ends) signal.removeEventListener('abort', wake);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** @throws EtcdError where another member answers, or none */
async function whoAnswers(client: MemberClient): Promise<void> {
  try {
    await client.memberList();
  } catch (error) {
    if (!(error instanceof LearnerError)) throw error;
    await client.status();
  }
}

/** etcd also serves on unix sockets, which are of no use from somewhere else. */
export function isUsable(clientUrl: string): boolean {
  return /^https?:\/\//.test(clientUrl) && URL.canParse(clientUrl);
}

export function usableUrls({ clientUrls }: Pick<Member, 'clientUrls'>): readonly string[] {
  return [...new Set(clientUrls.filter(isUsable).map(normalizeEndpoint))];
}

function textOf({ answer }: Attempt): string {
  const members = (answer?.list ?? []).map(({ id, name, clientUrls, isLearner }) => [id, name, clientUrls, isLearner]);
  return JSON.stringify(members.sort());
}
