// What the probe needs before it can ask anybody: where the members are, and the client certificate; and what a night
// has told of what fills them. All from AWS, all remembered.

import { readContentsHistory } from '../aws/contents-history.ts';
import { loadTlsMaterial } from '../aws/credentials.ts';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import { type KeptContents, newestWithHistory } from '../contract/contents.ts';
import { SetupError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { endpointsOf, observedNodes } from '../control-plane/nodes.ts';
import { findNodes } from '../nodes/inventory.ts';
import { type Known, LastKnown } from './last-known.ts';

/**
 * A renewed certificate and a new node are seen after so long at the latest; asking every minute would cost more and
 * tell no more.
 */
const MAX_AGE_MS = 5 * 60_000;
/** It comes once a night. */
const CONTENTS_MAX_AGE_MS = 60 * 60_000;

/** In the same region both services answer in a fraction of a second. */
const PATIENCE_MS = 2_500;

/** What one process remembers from probe to probe. */
export class ProbeMemory {
  readonly #endpoints: LastKnown<readonly string[]>;
  readonly #tls: LastKnown<TlsMaterial | undefined>;
  readonly #contents: LastKnown<KeptContents | undefined>;
  /** Hexadecimal ids of who has ever answered; undefined: not known before the first record is written. */
  answered: ReadonlySet<string> | undefined;

  constructor(options = { maxAgeMs: MAX_AGE_MS, patienceMs: PATIENCE_MS }) {
    this.#endpoints = new LastKnown({ ...options, what: 'the nodes, from Systems Manager' });
    this.#tls = new LastKnown({ ...options, what: 'etcd.credentials' });
    this.#contents = new LastKnown({
      ...options,
      maxAgeMs: CONTENTS_MAX_AGE_MS,
      what: 'what the last copy was full of',
    });
  }

  /**
   * The client URLs that are configured, or those of the nodes.
   * @throws SetupError, NodesUnreadableError, NoAnswerYetError where none were ever found
   */
  async endpoints(configuration: ClusterConfiguration): Promise<Known<readonly string[]>> {
    const { etcd, nodes } = configuration;
    if (etcd.endpoints !== undefined) return { value: etcd.endpoints, problem: undefined };
    const key = JSON.stringify([nodes?.tag, etcd.clientPort]);
    return this.#endpoints.get(key, () => endpointsOfNodes(configuration));
  }

  /** @throws SetupError, NoAnswerYetError where the certificate was never read */
  async tls({ etcd: { credentials } }: ClusterConfiguration): Promise<Known<TlsMaterial | undefined>> {
    if (credentials === undefined) return { value: undefined, problem: undefined };
    return this.#tls.get(JSON.stringify(credentials), () => loadTlsMaterial(credentials));
  }

  /**
   * What the newest copy with its history was full of. Never throws: a probe says how etcd is without it, too.
   * @param table undefined: not configured
   */
  async contents(table: string | undefined, cluster: string): Promise<KeptContents | undefined> {
    if (table === undefined) return undefined;
    const read = async () => {
      const { nights } = await readContentsHistory(table, cluster);
      return newestWithHistory(nights);
    };
    try {
      return (await this.#contents.get(`${table} ${cluster}`, read)).value;
    } catch {
      // The look that is to be written to the same table says what is wrong with it.
      return undefined;
    }
  }

  /** After a look that did not find everybody: the certificate may have been renewed, or the nodes replaced. */
  expire(): void {
    this.#endpoints.expire();
    this.#tls.expire();
  }
}

async function endpointsOfNodes(configuration: ClusterConfiguration): Promise<readonly string[]> {
  const { nodes: configured } = configuration;
  if (configured === undefined) throw new SetupError('etcd.endpoints: found nothing, and no `nodes` to find them by');
  const nodes = observedNodes(await findNodes({ tag: configured.tag }));
  const endpoints = endpointsOf(configuration, nodes);
  if (endpoints.length > 0) return endpoints;
  const { key, value } = configured.tag;
  throw new SetupError(`etcd.endpoints: found nothing, and no node with the tag ${key}=${value} has an SSM agent`);
}
