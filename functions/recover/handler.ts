// The recover function: answers etcd's NOSPACE alarm. Its event is a Command; its result, the RunReport.
import { conduct, LEASE_TTL_MS, type ReportSinks } from '../run/conduct.ts';
import { readEnvironment } from '../run/environment.ts';
import { InvalidInputError } from '../run/errors.ts';
import { publishReport } from '../run/events.ts';
import { recordRun } from '../run/history.ts';
import { createLease } from '../run/lease.ts';
import { durableWorkflow } from '../run/pipeline.ts';
import { currentSession, withSession } from '../run/session.ts';
import { recover } from './workflow.ts';

export const handler = withSession(
  durableWorkflow(async (command, context) => {
    const environment = readEnvironment(process.env);
    const { cluster: configuration, table, bus, snapshotBucket, switchParameter, pruneFunction } = environment;
    if (command.cluster !== configuration.name) {
      throw new InvalidInputError('command', [`cluster: found "${command.cluster}", expected "${configuration.name}"`]);
    }
    const execution = context.executionContext.durableExecutionArn;
    const session = currentSession();
    const lease = createLease({
      table,
      cluster: command.cluster,
      owner: execution,
      workflow: command.workflow,
      ttlMs: LEASE_TTL_MS,
    });
    const sinks: ReportSinks = {
      history: table === undefined ? undefined : async (report) => void (await recordRun({ table, report, execution })),
      bus: bus === undefined ? undefined : async (report) => void (await publishReport({ bus, report, execution })),
    };
    return conduct({ command, context, lease, sinks }, (journal) =>
      recover({
        context,
        configuration,
        command,
        pruneFunction,
        journal,
        snapshotBucket,
        switchParameter,
        cluster: (endpoints) => session.cluster(configuration, endpoints),
      }),
    );
  }),
);
