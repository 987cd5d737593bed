// What tests know of an API server: the real one and the stand-in are used in the same way, and may not disagree.
import type { KubernetesCredentials } from '../../functions/kubernetes/credentials.ts';
import type { ListedObject, Resource } from '../../functions/kubernetes/types.ts';
import type { Reachable } from '../control-plane/client.ts';
import type { NewObject } from './objects.ts';

/**
 * `admin` may do all, `nobody` nothing; what `pruner` and others may do, the rules say. A user's token is
 * `<user>-token`.
 */
export type User = string;

/** What a user may do: `*` stands for all. */
export interface Rule {
  readonly verbs: readonly string[];
  /** Empty for the core group. */
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
}

export interface ApiServerOptions {
  /** Of `pruner`. @default list, get and delete on all report kinds, list and get on all owner kinds */
  readonly rules?: readonly Rule[];
  /** Further users, with what each of them may do. */
  readonly others?: Readonly<Record<User, readonly Rule[]>>;
  /** PEM file: who comes with a certificate of this authority is the user in its common name. */
  readonly clientCaFile?: string;
  /**
   * It can delete what it can't decode, and says which that is (Kubernetes' AllowUnsafeMalformedObjectDeletion).
   * @default false
   */
  readonly unsafeDeletion?: boolean;
  /** How many changes are under way at the same time before the server says 429. */
  readonly maxMutatingInFlight?: number;
  /** Only for the real one: the control plane it keeps its objects in. @default a member of its own, with 512 MiB */
  readonly plane?: Reachable;
}

export type Place = Pick<ListedObject, 'namespace' | 'name'>;

export interface TestApiServer extends AsyncDisposable {
  /** `https://127.0.0.1:<port>` */
  readonly server: string;
  readonly caFile: string;
  /** @default of the pruner */
  credentials(user?: User): KubernetesCredentials;
  /** `kubernetes` of a cluster's configuration. @default of the pruner */
  configuration(user?: User): { readonly server: string; readonly credentials: { caFile: string; tokenFile: string } };
  /** Puts objects into the storage as they are, whatever their age. They replace what has their name. */
  create(resource: Resource, objects: Iterable<NewObject>): Promise<void>;
  /** As a controller that writes the object anew: it has another resourceVersion then, and was written now. */
  rewrite(resource: Resource, place: Place): Promise<void>;
  addFinalizer(resource: Resource, place: Place, finalizer: string): Promise<void>;
  /** Puts bytes into an object's place in the storage that no server can decode. */
  spoil(resource: Resource, place: Place): Promise<void>;
  /** As somebody else who deletes it, whatever its finalizers. */
  remove(resource: Resource, place: Place): Promise<void>;
  /** The whole object; undefined where it isn't there. */
  get(resource: Resource, place: Place): Promise<StoredObject | undefined>;
  /** What is there, in the order of the storage. */
  list(resource: Resource): Promise<readonly ListedObject[]>;
  /** No list that was begun before can go on from where it was. */
  expireContinueTokens(): Promise<void>;
  /** The server ends at once, whatever is under way; what is stored stays. */
  kill(): Promise<void>;
  /** Brings a killed server back under the same address. */
  restart(): Promise<void>;
}

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly uid: string;
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
  };
}
