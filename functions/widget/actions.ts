// The buttons: each one has CloudWatch call dispatch, with the permissions of the person who presses it.

import { type RunReport, yesTo } from '../contract/report.ts';
import { WORKFLOWS, type WorkflowName } from '../contract/workflows.ts';
import { cut, type Html, html } from './html.ts';
import type { Situation } from './situation.ts';

/** The button for what a guard has held back (R12): the very event that its report advises. */
export function allow({ cluster, dispatchArn }: Situation, raise: NonNullable<RunReport['raise']>): Html {
  const kinds = Object.entries(raise).map(([name, { maxDeletes }]) => `${maxDeletes.toLocaleString('en')} ${name}`);
  const question = `Let one run on ${cluster} delete up to ${kinds.join(', ')}? Look at some of them first.`;
  return html`<a class="btn em-button em-real">Allow it once</a><cwdb-action
      action="call" display="popup" endpoint="${dispatchArn}" confirmation="${cut(question, 600)}">${yesTo(raise)}</cwdb-action>`;
}

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
