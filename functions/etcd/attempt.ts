// One endpoint that is asked who it is: what it answered, and whether it is silent.
import { EtcdTimeoutError, EtcdUnreachableError, LearnerError, UnaskedError } from './errors.ts';
import type { Member, MemberClient, MemberStatus } from './types.ts';

/** Who answered at an endpoint. */
export interface Answer {
  readonly clusterId: string;
  readonly memberId: string;
  /** Undefined where Status is all it tells: a learner. */
  readonly list: readonly Member[] | undefined;
}

/** One endpoint that was asked, for a full time of its own. */
export interface Attempt {
  readonly endpoint: string;
  readonly client: MemberClient;
  readonly answer: Answer | undefined;
  /** Undefined while it has not come: a member that is being defragmented answers who it is, and its Status waits. */
  readonly status: MemberStatus | undefined;
  /** Why there is no answer; undefined while it may still come. */
  readonly error: Error | undefined;
}

type Told = { readonly clusterId: string; readonly status: MemberStatus } | { readonly problem: Error };

export class RunningAttempt implements Attempt {
  readonly endpoint: string;
  readonly client: MemberClient;
  answer: Answer | undefined;
  status: MemberStatus | undefined;
  error: Error | undefined;
  /** Nothing more will come. */
  told = false;
  readonly #onChange: () => void;

  constructor(endpoint: string, client: MemberClient, onChange: () => void) {
    this.endpoint = endpoint;
    this.client = client;
    this.#onChange = onChange;
  }

  /** What has not come by now counts as not answered: not as silence, since it was not asked for its full time. */
  giveUp(reason: unknown): void {
    if (isDone(this)) return;
    this.error = asError(reason ?? new Error(`${this.endpoint} was not waited for`));
  }

  /** Never throws. @param withStatus asked together, on one connection; the answer does not wait for it */
  async identify({ withStatus }: { readonly withStatus: boolean }): Promise<void> {
    const status = withStatus ? this.#readStatus() : undefined;
    try {
      const { clusterId, memberId, members } = await this.client.memberList();
      if (this.error) return;
      this.answer = { clusterId, memberId, list: members };
      this.#onChange();
      const own = await status;
      if (own && !('problem' in own)) this.status = own.status;
    } catch (error) {
      this.error ??= await this.#refusal(error, status);
    }
    this.told = true;
    this.#onChange();
  }

  /**
   * A learner tells no more than its Status.
   * @param status where it was asked, too; of anybody else its problem is what is told
   * @returns why there is no answer; undefined where Status was one
   */
  async #refusal(error: unknown, status: Promise<Told> | undefined): Promise<Error | undefined> {
    if (!(error instanceof LearnerError) && status === undefined) return asError(error);
    const own = await (status ?? this.#readStatus());
    if ('problem' in own) return own.problem;
    if (!(error instanceof LearnerError) && !own.status.isLearner) return asError(error);
    this.status = own.status;
    this.answer = { clusterId: own.clusterId, memberId: own.status.memberId, list: undefined };
    return undefined;
  }

  async #readStatus(): Promise<Told> {
    try {
      return await this.client.identify();
    } catch (error) {
      return { problem: asError(error) };
    }
  }
}

/** Not a byte came back, though it was asked for a full time of its own: R11's silence. */
export function isSilent({ client, error }: Attempt): boolean {
  const unanswered = error instanceof EtcdUnreachableError || error instanceof EtcdTimeoutError;
  return unanswered && !(error instanceof UnaskedError) && !client.heard;
}

export function isDone({ answer, error }: Attempt): boolean {
  return answer !== undefined || error !== undefined;
}

export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
