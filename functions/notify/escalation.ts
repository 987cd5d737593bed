// Puts on the bus what a run that died could not say by itself: an `Etcd Medic Escalation`, as every run does that
// needs a person.
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { clientDefaults, isSetupProblem } from '../aws/client.ts';
import { PublishError } from '../aws/events.ts';
import { SetupError } from '../contract/errors.ts';
import { ESCALATION, EVENT_SOURCE } from '../contract/event-names.ts';
import type { RunReport } from '../contract/report.ts';

/**
 * At least once.
 * @param bus name or ARN
 * @param execution the ARN of the run that died
 * @throws SetupError when there is no such bus or it must not be used
 * @throws PublishError when the bus refused the event or did not answer
 */
export async function escalate(bus: string, report: RunReport, execution: string): Promise<void> {
  const client = new EventBridgeClient(clientDefaults);
  const entry = {
    EventBusName: bus,
    Source: EVENT_SOURCE,
    DetailType: ESCALATION,
    Detail: JSON.stringify(report),
    Resources: [execution],
    Time: new Date(report.finishedAt),
  };
  try {
    const { FailedEntryCount = 0, Entries = [] } = await client.send(new PutEventsCommand({ Entries: [entry] }));
    if (FailedEntryCount === 0) return;
    const [{ ErrorCode = 'unknown error', ErrorMessage = '' } = {}] = Entries;
    throw new PublishError(`bus ${bus}: refused "${entry.DetailType}": ${ErrorCode} ${ErrorMessage}`.trim());
  } catch (cause) {
    if (cause instanceof PublishError) throw cause;
    if (isSetupProblem(cause)) throw new SetupError(`bus ${bus}: not allowed or not there`, { cause });
    throw new PublishError(`bus ${bus}: don't know whether the event was taken`, { cause });
  } finally {
    client.destroy();
  }
}
