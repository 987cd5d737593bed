// Clusters as they come about, each from a seed: rollouts, rollbacks, nights at zero, jobs that ended, owners that
// nobody knows, lists that are forbidden or end half-way. Each report knows what must become of it.
import { ApiUnavailableError, ForbiddenError } from '../../functions/kubernetes/errors.ts';
import type {
  KubernetesClient,
  ListOptions,
  ObjectMetadata,
  OwnerReference,
  Resource,
  ScaledOwner,
} from '../../functions/kubernetes/types.ts';
import { ago, HOUR_MS, MINUTE_MS, NOW_MS, reportOf, TRIVY_TTL } from './samples.ts';

const DAY_MS = 24 * HOUR_MS;
const REVISION = 'deployment.kubernetes.io/revision';

/** How an owner ended up; `unknown`: nobody can tell. */
type Fate = 'alive' | 'superseded' | 'gone' | 'unknown' | 'none';

/** A report and what its owner came to. */
export interface Made {
  readonly report: ObjectMetadata;
  readonly fate: Fate;
  /** The owner is there and its workload's current one, whatever else holds. */
  readonly isCurrent: boolean;
  readonly idleMs: number;
}

interface Owned {
  readonly reference: OwnerReference;
  readonly fate: Fate;
  readonly isCurrent: boolean;
}

/** Small, fast, and the same for the same seed everywhere (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  one<Item>(items: readonly [Item, ...(readonly Item[])]): Item {
    return items[this.below(items.length)] ?? items[0];
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

interface ReplicaSet {
  readonly uid: string;
  revision: number;
  replicas: number;
}

/** What the lists answer, by plural. */
type Lists = Map<string, ScaledOwner[]>;
type Trouble = 'forbidden' | 'cut';

export class MadeCluster {
  readonly #random: Random;
  readonly #lists: Lists = new Map();
  readonly #owned: Owned[] = [];
  readonly #troubles = new Map<string, Trouble>();
  #uids = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    for (const plural of ['deployments', 'replicasets', 'statefulsets', 'jobs', 'cronjobs', 'pods']) {
      this.#lists.set(plural, []);
      // Where the list of Deployments ends half-way, so does the whole look, since nobody knows who writes reports.
      const troubles = plural === 'deployments' ? (['forbidden'] as const) : (['forbidden', 'cut'] as const);
      if (this.#random.chance(8)) this.#troubles.set(plural, this.#random.one(troubles));
    }
    this.#add('deployments', 'operators', {});
    for (let i = this.#random.below(4); i > 0; i--) this.#rollOut();
    for (let i = this.#random.below(4); i > 0; i--) this.#other();
  }

  /** A report for each owner that there has been, of a kind. */
  reports(changes: (random: Random, owned: { readonly wasSuperseded: boolean }) => Partial<ObjectMetadata>): Made[] {
    const unowned: Owned[] = this.#random.chance(30)
      ? [{ reference: referenceTo('Pod', 'none'), fate: 'none', isCurrent: false }]
      : [];
    return [...this.#owned, ...unowned].map(({ reference, fate, isCurrent }, i) => {
      const idleMs = this.#random.one([
        3 * MINUTE_MS,
        30 * MINUTE_MS,
        2 * HOUR_MS,
        10 * HOUR_MS,
        3 * DAY_MS,
        10 * DAY_MS,
      ]);
      const report = reportOf({
        uid: `report-${i}`,
        name: `report-${i}`,
        creationTimestamp: ago(10 * DAY_MS),
        lastWrittenAt: ago(idleMs),
        ownerReferences: fate === 'none' ? [] : [reference],
        ...changes(this.#random, { wasSuperseded: fate === 'superseded' || this.#random.chance(30) }),
      });
      return { report, fate, isCurrent, idleMs };
    });
  }

  /** @param reports of the kind that is surveyed */
  client(reports: readonly ObjectMetadata[]): KubernetesClient {
    const servedAt = new Date(NOW_MS).toISOString();
    const page = <Item>(items: readonly Item[], { limit, continueToken }: ListOptions, { plural, group }: Resource) => {
      const trouble = this.#troubles.get(plural);
      const call = { verb: 'list', target: `${plural}.${group}`, server: 'https://made' } as const;
      if (trouble === 'forbidden') throw new ForbiddenError(call, 'not-done', 'forbidden');
      if (trouble === 'cut' && continueToken !== undefined) throw new ApiUnavailableError(call, 'unknown', 'cut');
      const from = Number(continueToken ?? 0);
      const most = trouble === 'cut' ? Math.min(limit, 1) : limit;
      const rest = items.length - from - most;
      const more = trouble === 'cut' ? limit > 1 : rest > 0;
      return {
        items: items.slice(from, from + most),
        continueToken: more ? String(from + most) : undefined,
        servedAt,
        inconsistent: false,
        receivedBytes: 0,
      };
    };
    const ownersOf = ({ plural }: Resource) => this.#lists.get(plural) ?? [];
    return {
      listPage: async (resource, options) => {
        if (
          resource.group === 'aquasecurity.github.io' ||
          resource.group.includes('kyverno') ||
          resource.group.includes('wgpolicy')
        ) {
          return page(reports, options, resource);
        }
        const metadata = ownersOf(resource).map(({ uid, annotations, ownerReferences }) =>
          reportOf({ uid, annotations, ownerReferences, labels: { app: 'trivy-and-kyverno' } }),
        );
        return page(metadata, options, resource);
      },
      listScaled: async (resource, options) => page(ownersOf(resource), options, resource),
      resourceOf: async (apiVersion, kind) => {
        const [group = '', version = 'v1'] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
        const plural = `${kind.toLowerCase()}s`;
        const isServed = this.#lists.has(plural) || kind === 'EphemeralReport';
        return isServed ? { group, version, plural, namespaced: true } : undefined;
      },
      aggregatedBy: async () => undefined,
      delete: async () => 'deleted',
      sizeBytes: async () => 10_000,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  /** A Deployment's life, as its controller writes it down. */
  #rollOut(): void {
    const deployment = this.#uid();
    const sets: ReplicaSet[] = [{ uid: this.#uid(), revision: 1, replicas: 2 }];
    const gone: string[] = [];
    let current = sets[0];
    let replicas = 2;
    const turnTo = (next: ReplicaSet) => {
      next.revision = Math.max(0, ...sets.map(({ revision }) => revision)) + 1;
      if (!sets.includes(next)) sets.push(next);
      for (const each of sets) each.replicas = 0;
      next.replicas = replicas;
      current = next;
    };
    for (let i = this.#random.below(7); i > 0; i--) {
      const what = this.#random.one(['roll out', 'roll out', 'roll back', 'scale', 'forget']);
      if (what === 'roll out') turnTo({ uid: this.#uid(), revision: 0, replicas: 0 });
      if (what === 'roll back')
        turnTo(this.#random.one([sets[0] ?? { uid: this.#uid(), revision: 0, replicas: 0 }, ...sets]));
      if (what === 'scale') {
        replicas = replicas === 0 ? 3 : 0;
        if (current) current.replicas = replicas;
      }
      if (what === 'forget') {
        const old = sets.findIndex((each) => each !== current && each.replicas === 0);
        if (old >= 0) gone.push(...sets.splice(old, 1).map(({ uid }) => uid));
      }
    }
    const isThere = this.#random.chance(90);
    if (isThere) this.#add('deployments', deployment, { annotations: { [REVISION]: `${current?.revision ?? 1}` } });
    const owner = [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'app', uid: deployment }];
    const listed = this.#troubles.has('replicasets') ? 'unknown' : undefined;
    // Without the Deployment, or its list, no ReplicaSet is known to be left behind.
    const counts = isThere && !this.#troubles.has('deployments');
    for (const each of sets) {
      const annotations = { [REVISION]: `${each.revision}` };
      this.#add('replicasets', each.uid, { annotations, ownerReferences: owner, replicas: each.replicas });
      const left = each !== current && each.replicas === 0 && counts;
      this.#own(
        'ReplicaSet',
        each.uid,
        listed ?? (left ? 'superseded' : 'alive'),
        each === current || each.replicas > 0,
      );
    }
    for (const uid of gone) this.#own('ReplicaSet', uid, listed ?? 'gone', false);
  }

  #other(): void {
    const kind = this.#random.one(['StatefulSet', 'Job', 'CronJob', 'Pod', 'Rollout', 'ReplicaSet']);
    const plural = `${kind.toLowerCase()}s`;
    const uid = this.#uid();
    const isThere = this.#random.chance(60);
    const replicas = this.#random.one([0, 1]);
    if (isThere && kind !== 'Rollout') this.#add(plural, uid, { replicas });
    const known = kind !== 'Rollout' && !this.#troubles.has(plural);
    this.#own(kind, uid, known ? (isThere ? 'alive' : 'gone') : 'unknown', isThere);
  }

  #add(plural: string, uid: string, changes: Partial<ScaledOwner>): void {
    const owner = {
      uid,
      replicas: 1,
      lastWrittenAt: ago(20 * DAY_MS),
      annotations: {},
      ownerReferences: [],
      ...changes,
    };
    this.#lists.get(plural)?.push(owner);
  }

  #own(kind: string, uid: string, fate: Fate, isCurrent: boolean): void {
    this.#owned.push({ reference: referenceTo(kind, uid), fate, isCurrent });
  }

  #uid(): string {
    return `uid-${this.#uids++}`;
  }
}

function referenceTo(kind: string, uid: string): OwnerReference {
  const group = { Pod: 'v1', Job: 'batch/v1', CronJob: 'batch/v1', Rollout: 'argoproj.io/v1alpha1' }[kind] ?? 'apps/v1';
  return { apiVersion: group, kind, name: 'app', uid };
}

/** As Trivy marks what a rollout has left behind, for good. */
export const MARKED = { annotations: { [TRIVY_TTL]: '0s' } };
