// A plan: what a dry run prints is what a run goes over. Each workflow has its own steps; how they are gone over is the
// same for all.

/** One step of a plan: what is to be done and to whom, as plain data. Its words and its deed are made from it alone. */
export interface Planned {
  readonly action: string;
}

/** Instead of a plan. */
export interface Refusal {
  readonly kind: 'refusal';
  /** `refused`: another run, or the same one later, will do. `escalated`: a person has to decide. */
  readonly outcome: 'refused' | 'escalated';
  readonly rule: string;
  readonly reason: string;
}

/**
 * Goes over a plan, one step after the other, in its order.
 * @param perform does one, and throws where none after it may be done.
 *   Where it finds what changes those after it, it says so in a line of the report and returns what is left to be done.
 */
export async function carryOut<Step extends Planned>(
  plan: readonly Step[],
  perform: (step: Step, left: readonly Step[]) => Promise<readonly Step[] | undefined>,
): Promise<void> {
  for (let [step, ...left] = plan; step !== undefined; ) {
    [step, ...left] = (await perform(step, left)) ?? left;
  }
}
