// The versions of one secret and their labels, with what Secrets Manager allows and refuses.

export interface SecretVersion {
  readonly id: string;
  /** Undefined: announced by a rotation, and not written yet. */
  readonly value: string | undefined;
  /** AWSCURRENT, AWSPENDING, AWSPREVIOUS. */
  readonly labels: readonly string[];
}

const MOST_SECRET_BYTES = 65_536;
const MOST_LABELS = 20;

export class VersionedSecret {
  readonly #values = new Map<string, string | undefined>();
  /** Each label is on one version at most. */
  readonly #labels = new Map<string, string>();
  /** Every value that was ever written. */
  readonly written: string[] = [];

  /** Those with a label: the others count as deleted. */
  get versions(): readonly SecretVersion[] {
    return [...this.#values].flatMap(([id, value]) => {
      const labels = [...this.#labels].filter(([, at]) => at === id).map(([label]) => label);
      return labels.length > 0 ? [{ id, value, labels }] : [];
    });
  }

  /** The value of the version with this label. */
  value(label: string): string | undefined {
    return this.versions.find(({ labels }) => labels.includes(label))?.value;
  }

  /** As RotateSecret does before it calls the function: a version without a value is pending. */
  announce(id: string): void {
    const pending = this.#labels.get('AWSPENDING');
    if (pending !== undefined && pending !== this.#labels.get('AWSCURRENT')) {
      throw new Error('InvalidRequestException: a previous rotation isn’t complete');
    }
    this.#values.set(id, undefined);
    this.#labels.set('AWSPENDING', id);
  }

  /** @returns the error's name where it is refused */
  put(id: string, value: string, labels: readonly string[]): string | undefined {
    // "PutSecretValue" in the Secrets Manager API reference.
    if (!/^.{32,64}$/.test(id)) return 'InvalidParameterException';
    const bytes = Buffer.byteLength(value);
    if (bytes === 0 || bytes > MOST_SECRET_BYTES) return 'InvalidParameterException';
    if (labels.length > MOST_LABELS || labels.some((label) => !/^.{1,256}$/.test(label))) {
      return 'InvalidParameterException';
    }
    const before = this.#values.get(id);
    if (before !== undefined) return before === value ? undefined : 'ResourceExistsException';
    this.#values.set(id, value);
    // The first value is current, whatever label it is given besides; a version that a rotation has announced has none.
    const isFirst = this.written.length === 0;
    this.written.push(value);
    for (const label of new Set([...labels, ...(isFirst ? ['AWSCURRENT'] : [])])) this.#attach(label, id);
    return undefined;
  }

  /** @returns the error's name where it is refused */
  moveLabel(label: string, to: string | undefined, from: string | undefined): string | undefined {
    const at = this.#labels.get(label);
    if (to !== undefined && !this.#values.has(to)) return 'ResourceNotFoundException';
    // Whoever moves a label must know where it is.
    if (at !== undefined && at !== to && from !== at) return 'InvalidParameterException';
    if (at === undefined && from !== undefined) return 'InvalidParameterException';
    if (to !== undefined) this.#attach(label, to);
    else if (label === 'AWSCURRENT') return 'InvalidParameterException';
    else this.#labels.delete(label);
    return undefined;
  }

  #attach(label: string, id: string): void {
    const before = this.#labels.get(label);
    if (label === 'AWSCURRENT' && before !== undefined && before !== id) this.#labels.set('AWSPREVIOUS', before);
    this.#labels.set(label, id);
  }
}
