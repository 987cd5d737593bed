// What a step is called: in the report for a person, and as a durable operation for the service, which takes less.

/**
 * A step whose name in the report holds what others have named (a member, a node) has a name of its own as an
 * operation, made of ids or positions; one whose name is ours alone has the same for both.
 */
export type StepName = string | { readonly report: string; readonly operation: string };

/**
 * Of an operation's name, as "OperationUpdate" in the Lambda API reference has it: 1 to 256 of the printable ASCII
 * characters.
 */
export const OPERATION_NAME = /^[\x20-\x7e]{1,256}$/;
const MOST = 256;

/** Whatever it was made of, the service takes it. */
export function operationName(name: StepName): string {
  const text = typeof name === 'string' ? name : name.operation;
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MOST) || 'step';
}

export function reportName(name: StepName): string {
  return typeof name === 'string' ? name : name.report;
}
