// How every AWS client of a run is set up, and how its errors are told apart.

/**
 * A service that hangs must not hold up a recovery: each request is cut off, and tried again by the SDK. All requests
 * made with these settings are safe to repeat.
 */
export const clientDefaults = {
  maxAttempts: 4,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true },
};

/** True for errors that trying again won't mend: what was asked for isn't there, or isn't allowed. */
export function isSetupProblem(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /^(ResourceNotFound|AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|CredentialsProviderError)/.test(
    error.name,
  );
}
