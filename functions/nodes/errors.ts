// What can go wrong between etcd-medic and Systems Manager, as types that a workflow can tell apart.
import { isSetupProblem } from '../aws/client.ts';
import { EtcdMedicError, SetupError } from '../contract/errors.ts';

/** Systems Manager did not answer a question, or refused it. A question changes nothing and can be asked again. */
export class NodesUnreadableError extends EtcdMedicError {
  override readonly name = 'NodesUnreadableError';
}

/** Systems Manager refused a command, and nothing of it was sent to any node. */
export class CommandRefusedError extends EtcdMedicError {
  override readonly name = 'CommandRefusedError';
}

/**
 * Whether a command was sent is not known: the answer was lost, and the command is not in the list (yet). Sending it
 * again with the same step id is safe once it would have shown up there, after some seconds.
 */
export class CommandUnknownError extends EtcdMedicError {
  override readonly name = 'CommandUnknownError';
}

/**
 * Where nothing was sent: what isn't there or isn't allowed becomes a SetupError.
 * @param text what was tried, and on what
 */
export function explainQuestion(text: string, cause: unknown): EtcdMedicError {
  if (isSetup(cause)) return new SetupError(`${text}: not allowed or not there`, { cause });
  return new NodesUnreadableError(`${text}: Systems Manager did not answer`, { cause });
}

/** Where the service refused to send. */
export function explainRefusal(text: string, cause: unknown): EtcdMedicError {
  if (isSetup(cause)) return new SetupError(`${text}: not allowed, or the document is not there`, { cause });
  return new CommandRefusedError(`${text}: Systems Manager refused it, and nothing was sent`, { cause });
}

/**
 * True where another try of the same call may come through: the service was in trouble, throttled it, or was not
 * reached.
 */
export function mayComeThrough(error: unknown): boolean {
  if (error instanceof NodesUnreadableError || error instanceof CommandUnknownError) return true;
  if (!(error instanceof CommandRefusedError) || !(error.cause instanceof Error)) return false;
  const { name } = error.cause;
  const code = 'code' in error.cause ? String(error.cause.code) : '';
  return (
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(code) ||
    /^(Throttl|TooManyRequests|RequestLimit|RequestThrottled)/.test(name)
  );
}

function isSetup(error: unknown): boolean {
  return isSetupProblem(error) || (error instanceof Error && /^InvalidDocument(Version)?$/.test(error.name));
}
