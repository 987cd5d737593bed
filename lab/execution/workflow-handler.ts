// A workflow's own handler, found as the stack finds it: by the folder that is called as the workflow.
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import type { WorkflowName } from '../../functions/contract/workflows.ts';

/** Loads it only now, so that it is set up by the variables that the process has by then. */
export async function workflowHandler(name: WorkflowName): Promise<DurableLambdaHandler> {
  const { handler }: { readonly handler: DurableLambdaHandler } = await import(`../../functions/${name}/handler.ts`);
  return handler;
}
