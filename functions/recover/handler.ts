// The recover function: answers etcd's NOSPACE alarm. Its event is a Command; its result, the RunReport.
import { clusterWorkflow } from '../run/cluster-workflow.ts';
import { currentSession, withSession } from '../run/session.ts';
import { recover } from './workflow.ts';

export const handler = withSession(
  clusterWorkflow(({ command, context, environment, journal }) => {
    const { cluster: configuration, snapshotBucket, switchParameter, pruneFunction } = environment;
    const session = currentSession();
    return recover({
      context,
      configuration,
      command,
      pruneFunction,
      journal,
      snapshotBucket,
      switchParameter,
      cluster: (endpoints) => session.cluster(configuration, endpoints),
    });
  }),
);
