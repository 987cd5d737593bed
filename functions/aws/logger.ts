// The log of each function.
import { Logger } from '@aws-lambda-powertools/logger';
import { redact } from '../contract/errors.ts';

/** R15: whatever a caller hands in, no key and no token gets into a line. */
export function createLogger(serviceName: string, persistentKeys: Readonly<Record<string, string>> = {}): Logger {
  const jsonReplacerFn = (_key: string, value: unknown) => (typeof value === 'string' ? redact(value) : value);
  return new Logger({ serviceName, persistentKeys, jsonReplacerFn });
}
