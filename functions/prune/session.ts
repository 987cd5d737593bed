// One invocation's connection to the API server and what it has learned there: gone with the invocation, and learned
// anew in the next.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import type { KubernetesConfiguration, StaleReason } from '../contract/configuration.ts';
import { type KubernetesOptions, openKubernetes } from '../kubernetes/client.ts';
import { loadKubernetesCredentials } from '../kubernetes/credentials.ts';
import type { KubernetesClient, ListedObject, OwnerReference, Resource } from '../kubernetes/types.ts';
import type { Evidence } from '../reports/stale.ts';
import { OwnerDirectory } from './owners.ts';

/** How patient the client is. @default its own values */
export type SessionOptions = Pick<KubernetesOptions, 'patienceMs' | 'timeoutMs'>;

/** A stale report, as it was when it was listed, and why it is stale. */
export interface Candidate extends ListedObject {
  readonly reason: StaleReason;
  /**
   * Whom the reason rests on, beside the report itself: they may come back without anybody writing the report, whose
   * delete would be accepted then. So they are looked at again directly before it.
   */
  readonly restsOn?: Exclude<Evidence, 'object'> | undefined;
  /** Where it rests on them. */
  readonly ownerReferences?: readonly OwnerReference[] | undefined;
}

/** The stale reports of one kind that are still to be deleted. */
export interface Candidates {
  readonly resource: Resource;
  readonly list: Candidate[];
  /** In all; the list may have been too long to be remembered whole. */
  left: number;
}

export interface Api {
  readonly client: KubernetesClient;
  readonly directory: OwnerDirectory;
}

export class PruneSession implements AsyncDisposable {
  readonly #options: SessionOptions;
  #opening: Promise<Api> | undefined;
  /** By the kind's name. Not there: this invocation has not looked at the kind, or all that it remembered is done. */
  readonly candidates = new Map<string, Candidates>();

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /**
   * @param patienceMs of the client. @default its own; what the session was made with goes before it
   * @throws SetupError for credentials that can't be read or used
   */
  api(kubernetes: KubernetesConfiguration, patienceMs?: number): Promise<Api> {
    const options = { ...(patienceMs !== undefined && { patienceMs }), ...this.#options };
    const opening = this.#opening ?? open(kubernetes, options);
    this.#opening = opening;
    // What could not be read once is read again.
    opening.catch(() => {
      this.#opening = undefined;
    });
    return opening;
  }

  /** The same connection with a directory that knows nothing yet, by which everything is judged from here on. */
  withNewDirectory({ client }: Api): Api {
    const renewed = { client, directory: new OwnerDirectory(client) };
    this.#opening = Promise.resolve(renewed);
    return renewed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const api = await this.#opening?.catch(() => undefined);
    await api?.client[Symbol.asyncDispose]();
  }
}

async function open({ server, credentials }: KubernetesConfiguration, options: SessionOptions): Promise<Api> {
  const client = openKubernetes({ server, credentials: await loadKubernetesCredentials(credentials), ...options });
  return { client, directory: new OwnerDirectory(client) };
}

const sessions = new AsyncLocalStorage<PruneSession>();

/** The session of the invocation that this code runs in. */
export function currentPruneSession(): PruneSession {
  const session = sessions.getStore();
  if (session === undefined) throw new Error('pruning runs outside of withPruneSession');
  return session;
}

/** Gives each invocation a session. Around the durable handler, since nothing inside of it runs at a suspension. */
export function withPruneSession(handler: DurableLambdaHandler, options: SessionOptions): DurableLambdaHandler {
  return async (event, context) => {
    await using session = new PruneSession(options);
    return await sessions.run(session, () => handler(event, context));
  };
}
