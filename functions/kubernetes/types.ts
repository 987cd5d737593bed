// The plain data that the Kubernetes room hands out. Times are ISO 8601, UTC, as the API server wrote them.

/** A kind as the API's paths name it. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

/** A kind of which it is known whether its objects are in namespaces. */
export interface ScopedResource extends Resource {
  readonly namespaced: boolean;
}

/** Which part of a kind to list. */
export interface ListOptions {
  readonly limit: number;
  readonly continueToken?: string | undefined;
  /** @default all of them */
  readonly namespace?: string | undefined;
  /** A column of the kind's table, whose cells are handed out as `state`. @default none */
  readonly stateColumn?: string | undefined;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** What a metadata-only list says of one object. */
export interface ObjectMetadata {
  readonly uid: string;
  readonly name: string;
  /** Undefined for what is cluster-scoped. */
  readonly namespace: string | undefined;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  /** Set: it is being deleted and waits for its finalizers. */
  readonly deletionTimestamp: string | undefined;
  /** The newest time in `managedFields`, or the creation where there is none: when somebody last wrote it. */
  readonly lastWrittenAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
  readonly finalizers: readonly string[];
  /** What its status says of its state, where that was asked for and is there. */
  readonly state?: string | undefined;
}

/** Which object to delete, and only as it was when it was listed (R12). */
export interface ListedObject {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/**
 * How a delete ended. `gone`: nobody has it any more. `changed`: another uid or resourceVersion by now, so it was left
 * alone. `finalizers`: it is only marked as deleted and waits for somebody else.
 */
export type DeleteOutcome = 'deleted' | 'gone' | 'changed' | 'finalizers';

export interface MetadataPage {
  readonly items: readonly ObjectMetadata[];
  /** Of the next page; undefined: this was the last. */
  readonly continueToken: string | undefined;
  /** The server's own clock when it answered (its Date header). */
  readonly servedAt: string;
  /**
   * The list's first snapshot had been compacted away, so that from here on it is a newer one: nothing old is missed.
   */
  readonly inconsistent: boolean;
  /** Of the answer's body, as it came over the wire. */
  readonly receivedBytes: number;
}

/** A scalable owner: is there anything of it? */
export interface ScaledOwner {
  readonly uid: string;
  /** `spec.replicas`; 1 where it is left out, as the API says. */
  readonly replicas: number;
  /** The newest time in `managedFields`, or the creation where there is none. */
  readonly lastWrittenAt: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
}

/** One API server, over kept-alive connections. Every call waits out 429 and 5xx within its own limits. */
export interface KubernetesClient extends AsyncDisposable {
  /**
   * One page, metadata only.
   * @throws NotServedError where the cluster does not have the kind; ForbiddenError; UnauthorizedError;
   *   ApiUnavailableError
   */
  listPage(resource: Resource, options: ListOptions): Promise<MetadataPage>;
  /** The same for objects with `spec.replicas`, of which nothing else is kept. */
  listScaled(
    resource: Resource,
    options: ListOptions,
  ): Promise<{
    readonly items: readonly ScaledOwner[];
    readonly continueToken: string | undefined;
    readonly servedAt: string;
  }>;
  /** How the API's paths name a kind; undefined where the server does not serve it. Asked once, then remembered. */
  resourceOf(apiVersion: string, kind: string): Promise<ScopedResource | undefined>;
  /**
   * Whether a server of its own, beside the API server, serves a group's version: as `<namespace>/<service>`. Undefined
   * where it is the API server itself, or nobody may know. Asked once, then remembered.
   * @throws UnauthorizedError, ApiUnavailableError
   */
  aggregatedBy(resource: Pick<Resource, 'group' | 'version'>): Promise<string | undefined>;
  /**
   * Deletes exactly this object as it was listed; sent again only where the answer says that nothing was done.
   * @throws DeniedError where admission says no to this object; ForbiddenError; UnauthorizedError; ApiUnavailableError
   */
  delete(resource: Resource, object: ListedObject): Promise<DeleteOutcome>;
  /** How many bytes the whole object has as JSON, which is how etcd keeps custom resources; undefined: it is gone. */
  sizeBytes(resource: Resource, object: Pick<ListedObject, 'namespace' | 'name'>): Promise<number | undefined>;
}
