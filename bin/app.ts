// The CDK app: one stack for each cluster of cdk.json's context `clusters`, checked against the AWS Solutions rules.
import { App } from 'aws-cdk-lib';
import { EtcdMedicError } from '../functions/contract/errors.ts';
import { addClusterStacks } from '../lib/cluster-stacks.ts';

const app = new App();
try {
  addClusterStacks(app);
} catch (error) {
  // A mistake in the configuration is the reader's to mend: the sentence helps, a stack trace would bury it.
  if (!(error instanceof EtcdMedicError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
app.synth();
