// Everything that etcd-medic has in AWS for one control plane.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/run/configuration.ts';
import { AlarmTriggers } from './alarm-triggers.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import { DispatchFunction } from './dispatch-function.ts';
import { alarmNames, functionName } from './names.ts';
import { StateTable } from './state-table.ts';
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
    const recover = new WorkflowFunction(this, 'Recover', {
      cluster,
      workflow: 'recover',
      description:
        `Brings etcd of cluster ${cluster.name} back from NOSPACE. Don't press Test here: a run outlasts a synchronous call. ` +
        `Press Test on ${functionName(cluster, 'dispatch')}, which starts it.`,
      table,
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
    output(this, 'DeadLetterQueueUrl', deadLetterQueue.queueUrl, 'Events that nothing could be made of');
  }
}

function output(scope: Construct, id: string, value: string, description: string): void {
  new CfnOutput(scope, id, { value, description });
}
