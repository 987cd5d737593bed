// How every AWS client of a run is set up, and how its errors are told apart.

/**
 * A service that hangs must not hold up a recovery: each request is cut off, and tried again by the SDK. All requests
 * made with these settings are safe to repeat.
 */
export const clientDefaults = {
  maxAttempts: 4,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true },
};

const AGAIN_AFTER_MS = 500;
const AGAIN_AT_MOST_MS = 10_000;

/**
 * For what can't be put off to the durable engine: tried again for so long, while the service is in trouble, throttles
 * it or is not reached. What it refuses is not asked again.
 * @param ask safe to repeat
 * @param mayPass of an error: another try may come through
 * @throws what the last try threw
 */
export async function withRetries<Answer>(
  withinMs: number,
  ask: () => Promise<Answer>,
  mayPass: (error: unknown) => boolean = isAccident,
): Promise<Answer> {
  const beganMs = performance.now();
  for (let pauseMs = AGAIN_AFTER_MS; ; pauseMs = Math.min(pauseMs * 2, AGAIN_AT_MOST_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!mayPass(error) || performance.now() - beganMs + pauseMs > withinMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

function isAccident(error: unknown): boolean {
  if (!(error instanceof Error) || isSetupProblem(error)) return false;
  if (/^(Throttl|TooManyRequests|RequestLimitExceeded|RequestThrottled)/.test(error.name)) return true;
  const metadata: unknown = Reflect.get(error, '$metadata');
  const status =
    typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'httpStatusCode') : undefined;
  return typeof status !== 'number' || status >= 500;
}

/** True for errors that trying again won't mend: what was asked for isn't there, or isn't allowed. */
export function isSetupProblem(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /^(ResourceNotFound|AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|CredentialsProviderError)/.test(
    error.name,
  );
}
