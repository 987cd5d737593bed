// Everything that etcd-medic has in AWS for one control plane.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/run/configuration.ts';
import { AlarmTriggers } from './alarm-triggers.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import { DispatchFunction } from './dispatch-function.ts';
import { alarmNames, functionName } from './names.ts';
import { NodeCommands } from './node-commands.ts';
import { SnapshotBucket } from './snapshot-bucket.ts';
import { StateTable } from './state-table.ts';
import { SwitchParameter } from './switch-parameter.ts';
import { WorkflowFunction } from './workflow-function.ts';

export interface EtcdMedicStackProps extends StackProps {
  readonly cluster: ClusterConfiguration;
}

/** Shares nothing with another cluster's stack, so that each can be deployed and removed by itself. */
export class EtcdMedicStack extends Stack {
  constructor(scope: Construct, id: string, { cluster, ...props }: EtcdMedicStackProps) {
    super(scope, id, {
      description: `etcd-medic for the control plane ${cluster.name}: brings its etcd back from NOSPACE`,
      ...props,
    });
    const table = new StateTable(this, 'State');
    const deadLetterQueue = new DeadLetterQueue(this, 'DeadLetters');
    const switchParameter = new SwitchParameter(this, 'Switch', cluster);
    const nodeCommands =
      cluster.nodes && new NodeCommands(this, 'Nodes', { clusterName: cluster.name, tag: cluster.nodes.tag });
    const snapshotBucket = snapshotBucketOf(this, cluster);
    const recover = new WorkflowFunction(this, 'Recover', {
      cluster,
      workflow: 'recover',
      description:
        `Brings etcd of cluster ${cluster.name} back from NOSPACE. Don't press Test here: a run outlasts a synchronous call. ` +
        `Press Test on ${functionName(cluster, 'dispatch')}, which starts it.`,
      table,
      switchParameter,
      nodeCommands,
      snapshotBucket,
      deadLetterQueue,
    });
    const dispatch = new DispatchFunction(this, 'Dispatch', {
      cluster,
      workflows: { recover: recover.live },
      deadLetterQueue,
    });
    new AlarmTriggers(this, 'Alarms', {
      alarmNames: alarmNames(cluster),
      target: dispatch.function,
      deadLetterQueue,
    });

    output(this, 'DispatchFunctionName', dispatch.function.functionName, 'Press Test on this function to start a run');
    output(
      this,
      'RecoverFunctionName',
      recover.function.functionName,
      'The runs, step by step, under "Durable executions"',
    );
    output(this, 'StateTableName', table.tableName, 'The lease and the reports of all runs');
    output(
      this,
      'SwitchParameterName',
      switchParameter.parameterName,
      `To stop all changes: ${switchParameter.command}`,
    );
    if (snapshotBucket) {
      output(this, 'SnapshotBucketName', snapshotBucket.bucketName, 'What etcd held before each recovery');
    }
    output(this, 'DeadLetterQueueUrl', deadLetterQueue.queueUrl, 'Events that nothing could be made of');
  }
}

/** R13: the one that the configuration names, or a new one; undefined where no snapshots are wanted. */
function snapshotBucketOf(
  scope: Construct,
  { snapshot }: ClusterConfiguration,
): Pick<IBucket, 'bucketArn' | 'bucketName'> | undefined {
  if (snapshot === false) return undefined;
  if (snapshot?.bucket === undefined) return new SnapshotBucket(scope, 'Snapshots');
  return Bucket.fromBucketName(scope, 'Snapshots', snapshot.bucket);
}

function output(scope: Construct, id: string, value: string, description: string): void {
  new CfnOutput(scope, id, { value, description });
}
