// The notify function: tells people how runs end, and puts in order what runs that died have left.
import { createLogger } from '../aws/logger.ts';
import { onRequest } from '../aws/request.ts';
import { describeError } from '../contract/errors.ts';
import { announce, isRoutine } from './announce.ts';
import { settle } from './death.ts';
import { type NotifyEnvironment, readEnvironment } from './environment.ts';
import { NotificationError } from './errors.ts';
import { escalate } from './escalation.ts';
import { type Death, parseNotice } from './notice.ts';
import { once } from './once.ts';

/** For the log, and for a person who presses Test with one of the sample events. */
export interface NotifyResult {
  /** ARNs of the topics that a message was sent to. */
  readonly told: readonly string[];
  /** Why nobody was told; null where the message was sent, now or before. */
  readonly ignored: string | null;
}

const logger = createLogger('etcd-medic-notify');

/** Errors are thrown on, so that Lambda tries the event again and then keeps it in the dead-letter queue. */
export const handler = onRequest<NotifyResult>(logger, async (event) => {
  const environment = readEnvironment(process.env);
  logger.appendKeys({ cluster: environment.cluster.name });
  const notice = parseNotice(event, environment.cluster.name);
  if (notice.kind === 'ignore') return ignore(notice.reason);
  if (notice.kind === 'death') return tellOfDeath(environment, notice.death);
  return tell(environment, notice);
});

async function tell(
  environment: NotifyEnvironment,
  announcement: Parameters<typeof announce>[1],
): Promise<NotifyResult> {
  const { report } = announcement;
  if (isRoutine(report) && environment.cluster.notify?.routine !== true) {
    return ignore(`${report.workflow} ended as ${report.outcome}: routine, and notify.routine is not set`);
  }
  const { topicArns, problems } = await announce(environment, announcement);
  for (const problem of problems) logger.warn('may be told a second time', { problem });
  logger.info('told', { outcome: report.outcome, topicArns });
  return { told: topicArns, ignored: null };
}

/**
 * Each part is tried whatever became of those before it; what failed is thrown at the end, and tried again with the
 * event.
 */
async function tellOfDeath(environment: NotifyEnvironment, death: Death): Promise<NotifyResult> {
  const { table, bus, cluster } = environment;
  const { execution } = death;
  const { report, unheard, failures } = await settle(environment, death);
  logger.warn('a run died', { ...death, unheard });
  const escalation = { table, cluster: cluster.name, identity: `bus ${bus} ${execution}` };
  const [told, published] = await Promise.allSettled([
    tell(environment, { report, execution, ...(unheard && { identity: execution }) }),
    unheard ? once(escalation, () => escalate(bus, report, execution)) : undefined,
  ]);
  const problems = [...failures, ...rejections([told, published])];
  if (told.status === 'fulfilled' && problems.length === 0) return told.value;
  throw new NotificationError(
    `the end of ${execution} is not in order yet: ${problems.map(describeError).join('; ')}`,
    {
      cause: problems[0],
    },
  );
}

function rejections(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
}

function ignore(reason: string): NotifyResult {
  logger.info('ignored', { reason });
  return { told: [], ignored: reason };
}
