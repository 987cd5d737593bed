// What bin/app.ts puts into its app: a stack for each configured cluster, and the rules that all of them are checked
// by.
import { Annotations, type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { notesOn, readClusters } from './clusters.ts';
import { EtcdMedicStack } from './etcd-medic-stack.ts';

/**
 * Adds one `etcd-medic-<name>` stack for each entry of the context `clusters`, and the AWS Solutions checks, which make
 * `cdk synth` fail on a finding that has no written reason.
 * @throws InvalidInputError where the configuration cannot be deployed
 */
export function addClusterStacks(app: App): EtcdMedicStack[] {
  const context: unknown = app.node.tryGetContext('clusters');
  const clusters = readClusters(context);
  const notes = notesOn(context);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return clusters.map((cluster, index) => {
    const stack = new EtcdMedicStack(app, `etcd-medic-${cluster.name}`, { cluster });
    for (const note of notes[index] ?? []) Annotations.of(stack).addInfoV2(`etcd-medic:renamed:${note}`, note);
    return stack;
  });
}
