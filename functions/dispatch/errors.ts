// What can go wrong between a command and its workflow.
import { EtcdMedicError } from '../contract/errors.ts';

/**
 * Lambda didn't take the order to start a workflow (throttled, refused, not reached). Nothing is known to run; the
 * event is to be tried again, which is safe: the execution's name stays the same.
 */
export class WorkflowNotStartedError extends EtcdMedicError {
  override readonly name = 'WorkflowNotStartedError';
}
