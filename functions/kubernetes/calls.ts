// Sends calls, and sends again what may be sent again: a read always, anything else only where nothing of it was done.
import { setTimeout as wait } from 'node:timers/promises';
import { readStatus } from './answers.ts';
import { type ApiCall, ApiUnavailableError, KubernetesError } from './errors.ts';
import type { Pace } from './pace.ts';
import type { RequestContext } from './requests.ts';
import { connectionFailure, isNotServed, refusal } from './translate.ts';
import type { Answer, Transport } from './transport.ts';
import { unreadableIn } from './unreadable.ts';

/** Where the server doesn't say; it is what API servers say. */
const DEFAULT_PAUSE_SECONDS = 1;
/** A server that asks for more is asked again after this all the same. */
const MAX_PAUSE_SECONDS = 30;
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 2_000;
/**
 * A 401 may be the server's own trouble: one that can't look up a token's owner, for want of etcd say, gives the same
 * answer.
 */
const UNAUTHORIZED_AGAIN = 2;
/** Of the patience: 5 s of a minute. */
const UNAUTHORIZED_PAUSE = 1 / 12;

type MakeRequest = () => Promise<RequestContext>;

export class Calls {
  readonly #transport: Transport;
  readonly #pace: Pace;
  readonly #patienceMs: number;

  /** @param patienceMs how long a call is tried again after its first failure */
  constructor(transport: Transport, pace: Pace, patienceMs: number) {
    this.#transport = transport;
    this.#pace = pace;
    this.#patienceMs = patienceMs;
  }

  patience(): Patience {
    return new Patience(this.#patienceMs);
  }

  /**
   * For what changes nothing: waits out 429, 5xx and broken connections.
   * @param isKnown the kind was served a moment ago, so that one which isn't is a server's that is still starting
   * @param patience what is left of another call's. @default one of its own
   * @returns any other answer, success or not
   * @throws SetupError, ThrottledError, ApiUnavailableError
   */
  async read(call: ApiCall, make: MakeRequest, { isKnown = false, patience = this.patience() } = {}): Promise<Answer> {
    for (;;) {
      const result = await this.#withRetries(call, make, patience);
      const isAnswer = !(result instanceof KubernetesError);
      if (isAnswer && isFinal(result, isKnown)) return result;
      const problem = isAnswer ? refusal(result, call) : result;
      if (!(await patience.pause())) throw problem;
    }
  }

  /**
   * For what changes something: sent again only where nothing of it was done, which is so after 429 and where no
   * connection came about.
   * @returns any other answer, 5xx included; or the error after which it is not known whether it was done
   * @throws SetupError, ThrottledError, ApiUnavailableError: it was not done
   */
  async change(call: ApiCall, make: MakeRequest, patience: Patience): Promise<Answer | ApiUnavailableError> {
    const result = await this.#withRetries(call, make, patience);
    // Servers count changes apart from reads: that many reads went well says nothing of how many changes would.
    if (!(result instanceof ApiUnavailableError)) this.#pace.wentWell();
    return result;
  }

  async #withRetries(call: ApiCall, make: MakeRequest, patience: Patience): Promise<Answer | ApiUnavailableError> {
    for (let unauthorized = 0; ; ) {
      const result = await this.#pace.run(() => this.#send(call, make));
      if (result instanceof ApiUnavailableError) {
        if (result.outcome === 'unknown') return result;
        if (!(await patience.pause())) throw result;
      } else if (result.status === 401 && unauthorized < UNAUTHORIZED_AGAIN) {
        unauthorized++;
        await wait(this.#patienceMs * UNAUTHORIZED_PAUSE);
      } else if (result.status !== 429 || unreadableIn(result)?.stays) {
        return result;
      } else {
        // The pause is for all calls: the pace lets none through before its end.
        this.#pace.tooMany(pauseSeconds(result) * 1_000);
        if (patience.isOver()) throw refusal(result, call);
      }
    }
  }

  async #send(call: ApiCall, make: MakeRequest): Promise<Answer | ApiUnavailableError> {
    const request = await make();
    try {
      return await this.#transport.send(request);
    } catch (error) {
      const failure = connectionFailure(error, call);
      if (failure instanceof ApiUnavailableError) return failure;
      throw failure;
    }
  }
}

/** Whether the same call would be answered the same, however often it is sent. */
function isFinal(answer: Answer, isKnown: boolean): boolean {
  if (unreadableIn(answer)?.stays) return true;
  return answer.status < 500 && !(isKnown && isNotServed(answer));
}

/** How long one call goes on being tried, counted from its first failure or from `begin`. */
export class Patience {
  readonly #limitMs: number;
  #sinceMs: number | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  begin(): this {
    this.#sinceMs ??= performance.now();
    return this;
  }

  isOver(): boolean {
    this.#sinceMs ??= performance.now();
    return performance.now() - this.#sinceMs >= this.#limitMs;
  }

  /** Waits a little, longer each time. @returns false at once where it is over */
  async pause(): Promise<boolean> {
    if (this.isOver()) return false;
    // Half of it by chance, so that calls which failed together don't come back together.
    await wait(this.#pauseMs * (0.5 + Math.random() / 2));
    this.#pauseMs = Math.min(this.#pauseMs * 2, LAST_PAUSE_MS);
    return true;
  }
}

/** What a 429 asks for, in its header or its body. */
function pauseSeconds(answer: Answer): number {
  const header = Number(answer.headers['retry-after']);
  const seconds = header > 0 ? header : readStatus(answer)?.retryAfterSeconds;
  return Math.min(seconds !== undefined && seconds > 0 ? seconds : DEFAULT_PAUSE_SECONDS, MAX_PAUSE_SECONDS);
}
