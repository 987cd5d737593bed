// The probe function: looks at etcd every minute. Its answer, a RunReport, is for a person who presses Test or calls it
// by hand.

import * as z from 'zod/mini';
import { createLogger } from '../aws/logger.ts';
import type { Trigger } from '../contract/command.ts';
import { SetupError } from '../contract/errors.ts';
import type { RunReport } from '../contract/report.ts';
import { validate } from '../contract/validate.ts';
import { given } from '../contract/variables.ts';
import { readEnvironment } from './environment.ts';
import { probe } from './probe.ts';
import { ProbeMemory } from './sources.ts';
import { LookNotStoredError } from './store.ts';

const logger = createLogger(given(process.env, 'POWERTOOLS_SERVICE_NAME') ?? 'etcd-medic-probe');

/** Outlives an invocation, so that the next ones know what a service does not tell at the moment. */
const memory = new ProbeMemory();

/**
 * @param event of the schedule, or a person's; of that only `dryRun` matters
 * @throws SetupError, LookNotStoredError in Lambda, once the metrics are out, where the probe can't look at etcd or its
 *   look could not be written: so that it shows as an error of the function, too
 * @throws InvalidInputError
 */
export async function handler(event: unknown): Promise<RunReport> {
  const { configuration, table, inLambda } = readEnvironment(process.env);
  const { dryRun, trigger } = readEvent(event);
  const report = await probe(configuration, { table, memory, dryRun, trigger });
  log(report);
  if (!inLambda) return report;
  if (report.outcome === 'failed') throw new SetupError(report.reason);
  const unstored = report.steps.find(({ name, outcome }) => name === 'record' && outcome === 'failed');
  if (unstored !== undefined) throw new LookNotStoredError(unstored.detail);
  return report;
}

/** One line a probe. */
function log({ cluster, outcome, reason, startedAt, finishedAt, steps }: RunReport): void {
  const problems = steps.filter((step) => step.outcome === 'failed' && step.name !== 'look');
  const line = {
    cluster,
    outcome,
    reason,
    durationMs: Date.parse(finishedAt) - Date.parse(startedAt),
    ...(problems.length > 0 && { problems: problems.map(({ name, detail }) => `${name}: ${detail}`) }),
  };
  if (outcome === 'failed') logger.error('probed', line);
  else if (outcome === 'escalated' || problems.length > 0) logger.warn('probed', line);
  else logger.info('probed', line);
}

const schema = z.object({
  dryRun: z._default(z.boolean(), false),
  'detail-type': z.optional(z.string()),
  resources: z.optional(z.array(z.string())),
  time: z.optional(z.string()),
});

function readEvent(event: unknown): { readonly dryRun: boolean; readonly trigger: Trigger } {
  const given = typeof event === 'object' && event !== null ? event : {};
  const { dryRun, resources, time, 'detail-type': type } = validate(schema, given, 'event');
  const [source = 'schedule'] = resources ?? [];
  const trigger: Trigger =
    type === 'Scheduled Event'
      ? { kind: 'schedule', source, ...(time !== undefined && { at: time }) }
      : { kind: 'manual', source: 'manual' };
  return { dryRun, trigger };
}
