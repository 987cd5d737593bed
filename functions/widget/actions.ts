// The buttons: each one has CloudWatch call dispatch, with the permissions of the person who presses it.
import { WORKFLOWS, type WorkflowName } from '../contract/workflows.ts';
import { type Html, html } from './html.ts';
import type { Situation } from './situation.ts';

/** What dispatch answers is shown over the page, which stays as it is. */
export function drawActions({ workflows, cluster, dispatchArn, mode }: Situation): Html {
  const button = (workflow: WorkflowName, dryRun: boolean) => {
    const order = WORKFLOWS[workflow].buttons;
    const confirmation = dryRun ? '' : html` confirmation="${order.question(cluster)}"`;
    return html`<a class="btn em-button${!dryRun && ' em-real'}">${dryRun ? order.dryRun : order.forReal}</a><cwdb-action
      action="call" display="popup" endpoint="${dispatchArn}"${confirmation}>${JSON.stringify({ workflow, dryRun })}</cwdb-action>`;
  };
  return html`<div class="em-actions">
    <div>${workflows.map((workflow) => button(workflow, true))}</div>
    <div>${workflows.map((workflow) => button(workflow, false))}</div>
    <span class="em-note">${
      mode.mode === 'observe'
        ? 'The switch stops every run after its plan, one at work before its next change.'
        : 'A dry run plans and changes nothing. The others ask first.'
    }</span>
  </div>`;
}
