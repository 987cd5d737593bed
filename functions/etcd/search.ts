// Asks client URLs who they are, all at the same time, and keeps what each has answered so far.
import { setTimeout as wait } from 'node:timers/promises';
import { normalizeEndpoint } from './endpoint.ts';
import { EtcdTimeoutError, LearnerError } from './errors.ts';
import type { Member, MemberClient, MemberStatus } from './types.ts';

/** What answered at an endpoint. */
export interface Answer {
  readonly clusterId: string;
  readonly status: MemberStatus;
  /** Undefined where Status is all it tells, as with a learner. */
  readonly list: readonly Member[] | undefined;
}

/** One endpoint that was asked. */
export interface Attempt {
  readonly endpoint: string;
  readonly client: MemberClient;
  readonly answer: Answer | undefined;
  /** Why there is no answer; undefined while it may still come. */
  readonly error: Error | undefined;
}

/** Given endpoints that hang must not hold up the members behind the others: those are looked for after this time. */
const GIVEN_ENDPOINTS_FIRST_MS = 200;

export class Search {
  readonly #connect: (endpoint: string) => MemberClient;
  readonly #timeoutMs: number;
  readonly #startedMs = performance.now();
  /** By endpoint, the given ones first and in their order. */
  readonly #attempts = new Map<string, RunningAttempt>();
  #given: readonly Attempt[] = [];

  /** @param timeoutMs for everything together */
  constructor(connect: (endpoint: string) => MemberClient, timeoutMs: number) {
    this.#connect = connect;
    this.#timeoutMs = timeoutMs;
  }

  /** Asks the endpoints, and the members that are behind none of them at their own client URLs. Never throws for an endpoint's sake. */
  async run(endpoints: readonly string[]): Promise<void> {
    this.#given = [...new Set(endpoints.map((endpoint) => this.#ask(endpoint)))];
    const givenDone = () => this.#given.every(isDone);
    await this.#until(givenDone, Math.min(GIVEN_ENDPOINTS_FIRST_MS, this.#timeoutMs));
    await this.#until(() => givenDone() || this.list !== undefined, this.#timeoutMs);
    for (const { clientUrls } of this.#missing()) {
      for (const url of clientUrls.filter(isUsable)) this.#ask(url);
    }
    const missingDone = () => this.#missing().every((member) => this.attemptsAt(member).every(isDone));
    await this.#until(() => givenDone() && missingDone(), this.#timeoutMs);
    for (const attempt of this.#attempts.values()) attempt.giveUp(this.#timeoutMs);
  }

  get given(): readonly Attempt[] {
    return this.#given;
  }

  /** The member list of the given endpoint that has applied most: one that was cut off for a while may have an old one. */
  get list(): readonly Member[] | undefined {
    const answers = this.#given.flatMap(({ answer }) => (answer?.list ? [answer] : []));
    const applied = (answer: Answer) => answer.status.raftAppliedIndex;
    return answers.sort((a, b) => Number(applied(b) - applied(a)))[0]?.list;
  }

  /** The first endpoint, in the order of the given ones, that this member answered at. */
  reached(memberId: string, clusterId?: string): Attempt | undefined {
    return [...this.#attempts.values()].find(
      ({ answer }) => answer?.status.memberId === memberId && (clusterId ?? answer.clusterId) === answer.clusterId,
    );
  }

  /** What was asked at the member's own client URLs. */
  attemptsAt({ clientUrls }: Member): readonly Attempt[] {
    return clientUrls.filter(isUsable).flatMap((url) => this.#attempts.get(normalizeEndpoint(url)) ?? []);
  }

  async closeAllBut(kept: ReadonlySet<MemberClient>): Promise<void> {
    const rest = [...this.#attempts.values()].filter(({ client }) => !kept.has(client));
    await Promise.all(rest.map(({ client }) => client[Symbol.asyncDispose]()));
  }

  #missing(): readonly Member[] {
    return (this.list ?? []).filter(({ id }) => this.reached(id) === undefined);
  }

  #ask(url: string): Attempt {
    const endpoint = normalizeEndpoint(url);
    const attempt = this.#attempts.get(endpoint) ?? new RunningAttempt(endpoint, this.#connect(endpoint));
    this.#attempts.set(endpoint, attempt);
    return attempt;
  }

  /** Waits until `condition` holds, but no longer than `withinMs` from the start of the search. */
  async #until(condition: () => boolean, withinMs: number): Promise<void> {
    const giveUp = new AbortController();
    const leftMs = Math.max(0, withinMs - (performance.now() - this.#startedMs));
    let late = false;
    const timeout = wait(leftMs, undefined, { signal: giveUp.signal }).then(
      () => {
        late = true;
      },
      () => undefined,
    );
    while (!condition() && !late) {
      const running = [...this.#attempts.values()].filter((attempt) => !isDone(attempt));
      await Promise.race([timeout, ...running.map(({ settled }) => settled)]);
    }
    giveUp.abort();
  }
}

class RunningAttempt implements Attempt {
  readonly endpoint: string;
  readonly client: MemberClient;
  readonly settled: Promise<void>;
  answer: Answer | undefined;
  error: Error | undefined;

  constructor(endpoint: string, client: MemberClient) {
    this.endpoint = endpoint;
    this.client = client;
    this.settled = this.#identify();
  }

  /** No answer by now counts as none. */
  giveUp(timeoutMs: number): void {
    if (isDone(this)) return;
    const call = { endpoint: this.endpoint, method: 'Status' };
    this.error = new EtcdTimeoutError(call, 'not-done', `no answer within ${timeoutMs} ms`);
  }

  async #identify(): Promise<void> {
    // Asked together, on one connection.
    const [identity, list] = await Promise.allSettled([this.client.identify(), this.client.memberList()]);
    if (isDone(this)) return;
    if (identity.status === 'rejected') {
      this.error = asError(identity.reason);
    } else if (list.status === 'fulfilled') {
      this.answer = { ...identity.value, list: list.value.members };
    } else if (list.reason instanceof LearnerError || identity.value.status.isLearner) {
      this.answer = { ...identity.value, list: undefined };
    } else {
      this.error = asError(list.reason);
    }
  }
}

/** etcd also serves on unix sockets, which are of no use from somewhere else. */
export function isUsable(clientUrl: string): boolean {
  return /^https?:\/\//.test(clientUrl) && URL.canParse(clientUrl);
}

function isDone({ answer, error }: Attempt): boolean {
  return answer !== undefined || error !== undefined;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
