// What bin/app.ts puts into its app: a stack for each configured cluster, and the rules that all of them are checked
// by.
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { readClusters } from './clusters.ts';
import { EtcdMedicStack } from './etcd-medic-stack.ts';

/**
 * Adds one `etcd-medic-<name>` stack for each entry of the context `clusters`, and the AWS Solutions checks, which make
 * `cdk synth` fail on a finding that has no written reason.
 * @throws InvalidInputError where the configuration cannot be deployed
 */
export function addClusterStacks(app: App): EtcdMedicStack[] {
  const clusters = readClusters(app.node.tryGetContext('clusters'));
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return clusters.map((cluster) => new EtcdMedicStack(app, `etcd-medic-${cluster.name}`, { cluster }));
}
