// The buttons: each one has CloudWatch call dispatch, with the permissions of the person who presses it.
import type { Command } from '../contract/command.ts';
import { type Html, html } from './html.ts';
import type { Situation } from './situation.ts';

interface Order {
  readonly dryRun: string;
  readonly forReal: string;
  /** What CloudWatch asks before it starts the run. */
  question(cluster: string): string;
}

const ORDERS: Readonly<Record<Command['workflow'], Order>> = {
  recover: {
    dryRun: 'Dry run: recover',
    forReal: 'Recover…',
    question: (cluster) =>
      `Start a recovery of ${cluster}? Where NOSPACE is raised it compacts, defragments the members one by one and disarms the alarm.`,
  },
  maintain: {
    dryRun: 'Dry run: maintenance',
    forReal: 'Maintain…',
    question: (cluster) =>
      `Start maintenance of ${cluster} now? It compacts and defragments the members that are worth it, one by one.`,
  },
  prune: {
    dryRun: 'Dry run: prune',
    forReal: 'Prune…',
    question: (cluster) => `Delete the stale reports of ${cluster} now? They can't be brought back.`,
  },
};

/** What dispatch answers is shown over the page, which stays as it is. */
export function drawActions({ workflows, cluster, dispatchArn, mode }: Situation): Html {
  const button = (workflow: Command['workflow'], dryRun: boolean) => {
    const order = ORDERS[workflow];
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
