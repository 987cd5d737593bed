// One invocation's connections to the members: opened when first needed, shared by its steps, closed at its end.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { loadTlsMaterial } from '../aws/credentials.ts';
import type { ClusterConfiguration, EtcdCredentials } from '../contract/configuration.ts';
import { discoverMembers, type EtcdCluster } from '../etcd/discovery.ts';

export class Session implements AsyncDisposable {
  #opening: Promise<EtcdCluster> | undefined;

  /**
   * The cluster's members with an open connection to each that answers. Looks again for those that did not answer last
   * time, because a member that was away may be back.
   * @throws SetupError, InvalidInputError for credentials that can't be used; NoMemberAnsweredError
   */
  async cluster({ etcd }: ClusterConfiguration, endpoints: readonly string[]): Promise<EtcdCluster> {
    const current = await this.#opening;
    const complete = current?.members.every(({ id, isLearner }) => isLearner || current.client(id) !== undefined);
    if (current !== undefined && complete) return current;
    await this[Symbol.asyncDispose]();
    const opening = open(etcd.credentials, endpoints);
    this.#opening = opening;
    try {
      return await opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    await (await opening?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

async function open(credentials: EtcdCredentials | undefined, endpoints: readonly string[]): Promise<EtcdCluster> {
  const tls = await loadTlsMaterial(credentials);
  return discoverMembers({ endpoints, ...(tls && { tls }) });
}

const sessions = new AsyncLocalStorage<Session>();

/** The session of the invocation that this code runs in. */
export function currentSession(): Session {
  const session = sessions.getStore();
  if (session === undefined) throw new Error('a workflow runs outside of withSession');
  return session;
}

/** Gives each invocation a session. Around the durable handler, since nothing inside of it runs at a suspension. */
export function withSession(handler: DurableLambdaHandler): DurableLambdaHandler {
  return async (event, context) => {
    await using session = new Session();
    return await sessions.run(session, () => handler(event, context));
  };
}
