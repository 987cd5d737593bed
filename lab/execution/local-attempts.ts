// Knows which step bodies of a local invocation are running, so that a crash can be played in a process that lives on.
//
// A real crash ends everything at once. Here a body that is under way can't be stopped, so it is waited for before the
// next invocation begins, and in a crashed invocation no other body starts: to the world it is as if the process had
// died right after that body, with nothing of it recorded.
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type AttemptInfo,
  DURABLE_INSTRUMENTATION_PLUGIN_API_VERSION,
  type DurableInstrumentationPlugin,
  type DurableInstrumentationPluginProvider,
} from '@aws/durable-execution-sdk-js';

/** One invocation of a handler in this process. */
export class LocalInvocation {
  /** True when the handler was made after `trackAttempts()`. */
  tracked = false;
  /** Set when it has answered or crashed: it may not do anything any more. */
  over = false;
  /** Set when a crash was played on it. */
  crashed = false;
  #running = 0;
  #idle: (() => void)[] = [];

  /** Runs a step's body, or never, when the invocation is over. */
  async attempt(body: () => unknown): Promise<unknown> {
    if (this.over) return new Promise(() => {});
    this.#running++;
    try {
      return await body();
    } finally {
      this.#running--;
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** Resolves when no step body is running: from then on a crashed invocation can't touch anything. */
  async untilIdle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}

// Node may load this file twice, once for a test runner and once for the SDK; both must mean the same invocation.
const KEY = Symbol.for('etcd-medic.local-invocation');
const existing: unknown = Reflect.get(globalThis, KEY);
export const currentInvocation: AsyncLocalStorage<LocalInvocation> =
  existing instanceof AsyncLocalStorage ? existing : new AsyncLocalStorage();
Reflect.set(globalThis, KEY, currentInvocation);

/** Lets `runLocally` play crashes of handlers made from now on: call it before the handler's module is imported. */
export function trackAttempts(): void {
  const others = (process.env.DURABLE_EXECUTION_PLUGINS ?? '')
    .split(',')
    .filter((url) => url && url !== import.meta.url);
  process.env.DURABLE_EXECUTION_PLUGINS = [...others, import.meta.url].join(',');
}

class AttemptTracker implements DurableInstrumentationPlugin {
  async onInvocationStart(): Promise<void> {
    const invocation = currentInvocation.getStore();
    if (invocation) invocation.tracked = true;
  }

  wrapOperationAttemptFn(_attempt: AttemptInfo, body: () => unknown): unknown {
    const invocation = currentInvocation.getStore();
    return invocation ? invocation.attempt(body) : body();
  }
}

/** The SDK's name for what it loads from a module in `DURABLE_EXECUTION_PLUGINS`. */
export const durableExecutionPluginProvider: DurableInstrumentationPluginProvider = {
  pluginApiVersion: DURABLE_INSTRUMENTATION_PLUGIN_API_VERSION,
  pluginType: AttemptTracker,
  createPlugin: () => new AttemptTracker(),
};
