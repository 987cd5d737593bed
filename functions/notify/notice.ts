// Tells what an event from EventBridge is about: a run that ended with a report, one that died, or nothing to act on.

import * as z from 'zod/mini';
import { InvalidInputError } from '../contract/errors.ts';
import { DEATHS, ESCALATION, EVENT_SOURCE, FINISHED, STATUS_CHANGE } from '../contract/event-names.ts';
import { functionName } from '../contract/names.ts';
import { parseReport, type RunReport } from '../contract/report.ts';
import { validate } from '../contract/validate.ts';
import { WORKFLOW_NAMES, type WorkflowName } from '../contract/workflows.ts';

/**
 * A durable execution that Lambda ended, or that somebody stopped: perhaps without a report, perhaps with the lease in
 * its hands.
 */
export interface Death {
  /** The execution's ARN, as the lease has it for its owner. */
  readonly execution: string;
  readonly workflow: WorkflowName;
  readonly status: (typeof DEATHS)[number];
  /** ISO 8601; undefined where the event doesn't say. */
  readonly startedAt: string | undefined;
  readonly endedAt: string;
}

export type Notice =
  /** `execution`: the ARN of the run, where the event names it. */
  | { readonly kind: 'report'; readonly report: RunReport; readonly execution: string | undefined }
  | { readonly kind: 'death'; readonly death: Death }
  | { readonly kind: 'ignore'; readonly reason: string };

const envelope = z.object({
  source: z.string(),
  'detail-type': z.string(),
  time: z.iso.datetime({ offset: true }),
  resources: z.optional(z.array(z.string())),
  detail: z.unknown(),
});

/** @throws InvalidInputError for what isn't understood: which field, what was found, what was expected */
export function parseNotice(event: unknown, cluster: string): Notice {
  const { source, 'detail-type': type, time, resources, detail } = validate(envelope, event, 'event');
  if (source === EVENT_SOURCE && type === ESCALATION) {
    return ignore(`"${ESCALATION}": people are told by the event of the run's end`);
  }
  if (source === EVENT_SOURCE && FINISHED.includes(type)) {
    const report = parseReport(detail, `event "${type}", detail`);
    if (report.cluster !== cluster) return ignore(`the report is of cluster ${report.cluster}, not of ${cluster}`);
    return { kind: 'report', report, execution: resources?.find((arn) => EXECUTION_ARN.test(arn)) };
  }
  if (source === 'aws.lambda' && type === STATUS_CHANGE) return readStatusChange(detail, time, cluster);
  throw new InvalidInputError('event', [
    `source, detail-type: found ${JSON.stringify(source)}, ${JSON.stringify(type)}, expected "${EVENT_SOURCE}" with ` +
      `${FINISHED.map((finished) => `"${finished}"`).join(', ')}, or "aws.lambda" with "${STATUS_CHANGE}"`,
  ]);
}

/**
 * `arn:…:function:<name>:<version>/durable-execution/<execution's name>/<id>`, the form that API_Execution has in the
 * Lambda API reference.
 */
const EXECUTION_ARN =
  /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:([\w-]+):[\w$.-]+\/durable-execution\/[\w-]+\/[\w-]+$/;

/**
 * As in the Lambda Developer Guide, "Monitoring durable functions", "Durable execution status change events".
 * `endTimestamp` is there for every end; it is not relied on, since the event has a time of its own. The function is
 * read from the execution's ARN.
 */
const statusChange = z.object({
  durableExecutionArn: z.string().check(z.regex(EXECUTION_ARN, "a durable execution's ARN")),
  status: z.enum(['RUNNING', 'SUCCEEDED', ...DEATHS]),
  startTimestamp: z.optional(z.unknown()),
  endTimestamp: z.optional(z.unknown()),
});

function readStatusChange(detail: unknown, time: string, cluster: string): Notice {
  const change = validate(statusChange, detail, `event "${STATUS_CHANGE}", detail`);
  const execution = change.durableExecutionArn;
  const [, ofFunction] = EXECUTION_ARN.exec(execution) ?? [];
  const workflow = WORKFLOW_NAMES.find((name) => ofFunction === functionName(cluster, name));
  if (workflow === undefined) return ignore(`${ofFunction} is no workflow of cluster ${cluster}`);
  const status = DEATHS.find((death) => death === change.status);
  if (status === undefined) return ignore(`an execution that is ${change.status} is in order`);
  const startedAt = moment(change.startTimestamp);
  return {
    kind: 'death',
    death: { execution, workflow, status, startedAt, endedAt: moment(change.endTimestamp) ?? moment(time) ?? time },
  };
}

function ignore(reason: string): Notice {
  return { kind: 'ignore', reason };
}

/** @returns ISO 8601 in UTC, with milliseconds; undefined for what is no time */
function moment(value: unknown): string | undefined {
  const epochMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(epochMs) ? undefined : new Date(epochMs).toISOString();
}
