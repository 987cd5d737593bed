// Which API servers there are on this machine to test against.
import type { ApiServerOptions, TestApiServer } from './api-server.ts';
import { startRealApiServer, whyNoRealApiServer } from './real-api-server.ts';
import { startStandIn } from './stand-in.ts';

export interface ServerKind {
  readonly name: string;
  start(options?: ApiServerOptions): Promise<TestApiServer>;
}

/**
 * What there is on this machine, for `describe.each`: the stand-in always, the real one where real-api-server.ts finds
 * it.
 */
export function servers(): readonly ServerKind[] {
  const standIn = { name: 'the stand-in', start: startStandIn };
  return whyNoRealApiServer() === undefined
    ? [standIn, { name: 'a real API server', start: startRealApiServer }]
    : [standIn];
}
