// Tells the world how a run ended: one event on the bus, and a second one where a person has to act.
import type { PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import { EtcdMedicError, SetupError } from '../contract/errors.ts';
import { ESCALATION, EVENT_SOURCE } from '../contract/event-names.ts';
import type { RunReport } from '../contract/report.ts';
import { fitReport } from '../contract/shorten.ts';
import { WORKFLOWS } from '../contract/workflows.ts';
import { clientDefaults, isSetupProblem } from './client.ts';

/** PutEvents takes 256 KB a request, all entries together; some of it is for what stands around the details. */
const MAX_REQUEST_BYTES = 256 * 1024;
const ENVELOPE_BYTES = 1_024;

/** The bus did not take an event: nobody may have been told. Repeating it may send the others a second time. */
export class PublishError extends EtcdMedicError {
  override readonly name = 'PublishError';
}

export interface PublishOptions {
  /** Name or ARN. */
  readonly bus: string;
  readonly report: RunReport;
  /** The durable execution's ARN: the event's resource, by which whoever is told finds the run. */
  readonly execution: string;
}

export interface Published {
  /** The events' detail-types; empty for a probe, which reports by its metrics. */
  readonly detailTypes: readonly string[];
  /** True when the report was too large for an event and details were cut. */
  readonly shortened: boolean;
}

/**
 * Puts the report on the bus, at least once: a repeated call sends it again.
 * @throws SetupError when there is no such bus or it must not be used
 * @throws PublishError when the bus refused an event or did not answer
 */
export async function publishReport({ bus, report, execution }: PublishOptions): Promise<Published> {
  if (report.workflow === 'probe') return { detailTypes: [], shortened: false };
  const detailTypes = [WORKFLOWS[report.workflow].finishedEvent, ...(needsAPerson(report) ? [ESCALATION] : [])];
  const { json, shortened } = fitReport(report, MAX_REQUEST_BYTES / detailTypes.length - ENVELOPE_BYTES);
  await putEvents(
    detailTypes.map((detailType) => ({
      EventBusName: bus,
      Source: EVENT_SOURCE,
      DetailType: detailType,
      Detail: json,
      Resources: [execution],
      Time: new Date(report.finishedAt),
    })),
    bus,
  );
  return { detailTypes, shortened };
}

/**
 * A rehearsal is to show that a real run would come through: whatever else it ended with, and a step that failed on its
 * way, would have been in that run's way.
 */
export function rehearsalFailed({ trigger, outcome, steps }: RunReport): boolean {
  if (trigger.rehearsal !== true) return false;
  if (steps.some((step) => step.outcome === 'failed')) return true;
  return outcome !== 'planned' && outcome !== 'nothing-to-do';
}

/**
 * Whether somebody has to act now. What a guard alone has held back can wait for the day. A refusal is an answer to the
 * person who asked; to an alarm at night it may be none. A rehearsal stands for all of them.
 */
export function needsAPerson(report: RunReport): boolean {
  const { outcome, trigger, workflow, canWait = false } = report;
  if (rehearsalFailed(report)) return true;
  if (canWait) return false;
  if (outcome === 'escalated' || outcome === 'failed') return true;
  if (outcome !== 'refused' || trigger.kind !== 'alarm' || workflow === 'probe') return false;
  return WORKFLOWS[workflow].refusalNeedsAPerson;
}

async function putEvents(entries: PutEventsRequestEntry[], bus: string): Promise<void> {
  const { EventBridgeClient, PutEventsCommand } = await import('@aws-sdk/client-eventbridge');
  const client = new EventBridgeClient(clientDefaults);
  try {
    const { FailedEntryCount = 0, Entries = [] } = await client.send(new PutEventsCommand({ Entries: entries }));
    if (FailedEntryCount === 0) return;
    const refusals = Entries.flatMap(({ ErrorCode, ErrorMessage }, index) =>
      ErrorCode === undefined ? [] : [`"${entries[index]?.DetailType}": ${ErrorCode} ${ErrorMessage ?? ''}`.trim()],
    );
    throw new PublishError(
      `bus ${bus}: refused ${FailedEntryCount} of ${entries.length} events: ${refusals.join('; ')}`,
    );
  } catch (cause) {
    if (cause instanceof PublishError) throw cause;
    if (isSetupProblem(cause)) throw new SetupError(`bus ${bus}: not allowed or not there`, { cause });
    throw new PublishError(`bus ${bus}: don't know whether the events were taken`, { cause });
  } finally {
    client.destroy();
  }
}
