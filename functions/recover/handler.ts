// The recover function: answers etcd's NOSPACE alarm. Its event is a Command; its result, the RunReport.

import { currentSession, withSession } from '../control-plane/session.ts';
import { clusterWorkflow } from '../engine/cluster-workflow.ts';
import { recover } from './workflow.ts';

export const handler = withSession(
  clusterWorkflow(({ command, environment, journal }) => {
    const { cluster: configuration, table, snapshotBucket, switchParameter, pruneFunction } = environment;
    const session = currentSession();
    return recover({
      configuration,
      command,
      table,
      pruneFunction,
      journal,
      snapshotBucket,
      switchParameter,
      cluster: (endpoints) => session.cluster(configuration, endpoints),
    });
  }),
);
