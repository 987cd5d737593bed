// Text from outside that should be JSON.

/** @returns undefined where `text` isn't JSON (JSON itself has no undefined): a schema then says what was found */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
