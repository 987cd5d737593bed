// One probe: looks at every member, puts the metrics out, leaves the look in the table, and says in a report how etcd
// is.
import type { Trigger } from '../contract/command.ts';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import { describeError, redact } from '../contract/errors.ts';
import type { ProbedMember } from '../contract/probe-record.ts';
import type { MemberSizes, ReportMember, ReportStep, RunReport } from '../contract/report.ts';
import { look } from './look.ts';
import { publishMetrics } from './publish.ts';
import type { ProbeMemory } from './sources.ts';
import { storeLook } from './store.ts';
import { clusterFigures, judge, probedMembers, problemOf, strayAlarms } from './summary.ts';

export interface ProbeOptions {
  /** Undefined: not configured, and the look is written nowhere. */
  readonly table: string | undefined;
  readonly memory: ProbeMemory;
  /** Only looks: neither metrics nor a record. */
  readonly dryRun: boolean;
  readonly trigger: Trigger;
}

/**
 * Ends within 10 seconds, whatever hangs.
 * @returns `healthy`; `escalated` where an alarm is raised, a voter is away, its quota is not known, or nobody answers;
 *   `failed` where the probe itself can't look, because its credentials are of no use or nobody tells where the members
 *   are. A step that failed is in `steps`.
 */
export async function probe(configuration: ClusterConfiguration, options: ProbeOptions): Promise<RunReport> {
  const { table, memory, dryRun, trigger } = options;
  const cluster = configuration.name;
  const at = new Date();
  const steps: ReportStep[] = [];

  const [seen, contents] = await Promise.all([look(configuration, memory), memory.contents(table, cluster)]);
  const durationMs = Date.now() - at.getTime();
  const { outcome, reason } = judge(seen, { answered: memory.answered, contents });
  if (outcome !== 'healthy') memory.expire();
  const members = probedMembers(seen);
  for (const problem of seen.remembered) {
    steps.push(step('sources', at, 'failed', `what was known from before is used: ${problem}`));
  }
  steps.push({ ...step('look', at, seen.kind === 'blind' ? 'failed' : 'done', reason), durationMs });

  // Before anything else can fail.
  const published = new Date();
  const lines = dryRun ? 0 : publishMetrics({ cluster, at, figures: clusterFigures(seen), members });
  steps.push(
    lines > 0
      ? step('metrics', published, 'done', `${lines} lines of embedded metric format`)
      : step('metrics', published, 'skipped', dryRun ? 'a dry run' : 'switched off by POWERTOOLS_METRICS_DISABLED'),
  );

  const record = (answered: readonly string[]) => ({
    at: at.toISOString(),
    durationMs,
    members,
    answered,
    strayAlarms: strayAlarms(seen),
    problem: problemOf(seen),
  });
  const write = (answered: readonly string[]) => storeLook({ table: table ?? '', cluster, look: record(answered) });
  steps.push(await store(dryRun, table, () => storeAnswered(memory, members, write)));
  return {
    cluster,
    workflow: 'probe',
    outcome,
    reason: redact(reason),
    trigger,
    dryRun,
    startedAt: at.toISOString(),
    finishedAt: new Date().toISOString(),
    members: members.map(reportMember),
    steps,
  };
}

/**
 * R17: who has ever answered is kept in the record, and by the process from its first record on. That one may take two
 * writes: the first tells what the record of the process before had.
 */
async function storeAnswered(
  memory: ProbeMemory,
  members: readonly ProbedMember[],
  write: (answered: readonly string[]) => Promise<readonly string[]>,
): Promise<void> {
  // Who is no member any more has to answer again, should it come back. Where nobody answers nobody has left.
  const kept = (ids: Iterable<string>) =>
    [...new Set(ids)].filter((id) => members.length === 0 || members.some((member) => member.id === id)).sort();
  const answering = members.flatMap(({ id, healthy }) => (healthy ? [id] : []));
  const known = kept([...(memory.answered ?? []), ...answering]);
  const before = await write(known);
  const all = kept([...known, ...before]);
  if (all.length > known.length) await write(all);
  memory.answered = new Set(all);
}

async function store(dryRun: boolean, table: string | undefined, write: () => Promise<void>): Promise<ReportStep> {
  const startedAt = new Date();
  if (dryRun) return step('record', startedAt, 'skipped', 'a dry run');
  if (table === undefined) return step('record', startedAt, 'not-configured', 'no table: not configured');
  try {
    await write();
    return step('record', startedAt, 'done', 'the look is in the table');
  } catch (error) {
    return step('record', startedAt, 'failed', describeError(error));
  }
}

function step(name: string, startedAt: Date, outcome: ReportStep['outcome'], detail: string): ReportStep {
  return {
    name,
    startedAt: startedAt.toISOString(),
    durationMs: Date.now() - startedAt.getTime(),
    outcome,
    detail: redact(detail),
  };
}

/** A probe changes nothing: after is as before. */
function reportMember({ version, dbSize, dbSizeInUse, problem, healthy: _, ...member }: ProbedMember): ReportMember {
  const { alarms, ...identity } = member;
  const sizes: MemberSizes | undefined =
    dbSize === null || dbSizeInUse === null ? undefined : { dbSize, dbSizeInUse, alarms };
  return {
    ...identity,
    version: version ?? undefined,
    before: sizes,
    after: sizes,
    defragmented: false,
    note: problem === null ? undefined : redact(problem),
  };
}
