// The errors that every room shares. A room with errors of its own keeps them in its own errors.ts and extends this
// base.

/** The base of everything etcd-medic throws on purpose. Its message can be shown to a person and holds no secret. */
export class EtcdMedicError extends Error {
  override readonly name: string = 'EtcdMedicError';
}

/** A configuration, an event or a command line has something that cannot be worked with; nothing was changed. */
export class InvalidInputError extends EtcdMedicError {
  override readonly name = 'InvalidInputError';
  /** One line a problem: the field, what was found, what was expected. */
  readonly problems: readonly string[];

  constructor(source: string, problems: readonly string[], options?: ErrorOptions) {
    super(`${source}: ${problems.join('; ')}`, options);
    this.problems = problems;
  }
}

/**
 * Something that must be there in Lambda (table, bus, credentials) is missing or cannot be read; nothing was changed.
 */
export class SetupError extends EtcdMedicError {
  override readonly name = 'SetupError';
}

/** Another run took the lease while this one was working: this one must not change anything more. */
export class LeaseLostError extends EtcdMedicError {
  override readonly name = 'LeaseLostError';
}

/** The words of an error and of its causes, for a report: never a stack, never a secret. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error, depth = 0; e !== undefined && e !== null && depth < 5; depth++) {
    const text = e instanceof Error ? e.message || e.name : String(e);
    if (text && !parts.some((part) => part.includes(text))) parts.push(text);
    e = e instanceof Error ? e.cause : undefined;
  }
  return redact(parts.join(': '));
}

/** R15: whatever looks like key material is cut out, wherever it came from. */
export function redact(text: string): string {
  return (
    text
      .replace(
        /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
        '[private key removed]',
      )
      .replace(/(\/\/)[^\s/@"']+@/g, '$1[user removed]@')
      .replace(/(\bBearer\s+)[\w.~+/-]+=*/gi, '$1[token removed]')
      // A service account's token wherever it stands, also one that was cut: every JWT begins like this.
      .replace(/\beyJ[\w-]{8,}(\.[\w-]*){0,2}/g, '[token removed]')
  );
}

/** One sentence for a report, with the name that the service gave the error. */
export function describeNamedError(error: unknown): string {
  const name = error instanceof Error ? `${error.name}: ` : '';
  return `${name}${describeError(error)}`;
}
