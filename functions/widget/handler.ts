// The function behind the dashboard's custom widget: answers with a page about the cluster, and changes nothing.
import { createLogger } from '../aws/logger.ts';
import { onRequest } from '../aws/request.ts';
import { readEnvironment } from './environment.ts';
import { readEvent } from './event.ts';
import { drawPage } from './page.ts';
import { readSituation } from './read.ts';

/** What CloudWatch shows to whoever edits the widget. */
const DOCUMENTATION = `## etcd-medic
How one cluster's etcd is: each member's file against its quota, the last runs of etcd-medic and the next ones, and the switch.

It takes no parameters. It reads the probe's last look, the lease and the history from the state table, and the switch from
Parameter Store; it changes nothing. Its buttons call the function \`dispatch\` with your own permissions.
`;

const logger = createLogger('etcd-medic-widget');

/** Returns HTML; for `{ "describe": true }` markdown. */
export const handler = onRequest<string>(logger, async (event) => {
  const frame = readEvent(event);
  if (frame === 'describe') return DOCUMENTATION;
  const situation = await readSituation(readEnvironment(process.env), Date.now());
  for (const problem of situation.problems) logger.warn('incomplete', { problem });
  return drawPage(situation, frame);
});
