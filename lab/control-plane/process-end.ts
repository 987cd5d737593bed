// Runs clean-ups when this process ends: normally, by a signal, or by an error that nobody caught.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const cleanUps = new Set<() => void>();

/**
 * @param cleanUp synchronous, because nothing else runs once a process is ending; it runs at most once
 * @returns takes the clean-up back
 */
export function onProcessEnd(cleanUp: () => void): () => void {
  if (cleanUps.size === 0) {
    process.on('exit', runAll);
    for (const signal of SIGNALS) process.on(signal, onSignal);
  }
  cleanUps.add(cleanUp);
  return () => {
    if (!cleanUps.delete(cleanUp) || cleanUps.size > 0) return;
    process.off('exit', runAll);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

function runAll(): void {
  for (const cleanUp of cleanUps) {
    cleanUps.delete(cleanUp);
    cleanUp();
  }
}

function onSignal(signal: NodeJS.Signals): void {
  runAll();
  for (const each of SIGNALS) process.off(each, onSignal);
  // A listener takes the signal's default away. If nobody else listens, the default is what the sender wants.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

let prefix: Promise<readonly string[]> | undefined;

/**
 * What to put before a command so that the kernel kills it when this process goes, even by SIGKILL: util-linux's
 * setpriv. Empty where there is no such setpriv; then only the clean-ups above remain.
 */
export function dieWithParent(): Promise<readonly string[]> {
  const command = ['setpriv', '--pdeathsig', 'KILL'] as const;
  prefix ??= promisify(execFile)(command[0], [...command.slice(1), 'true']).then(
    () => command,
    () => [],
  );
  return prefix;
}
