// Everything that etcd-medic has in AWS for one control plane.
import { CfnOutput, Stack, type StackProps, type TagProps, Tags } from 'aws-cdk-lib';
import type { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import type { Alias, IFunction } from 'aws-cdk-lib/aws-lambda';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { type ClusterConfiguration, issuedBy } from '../functions/contract/configuration.ts';
import { functionName } from '../functions/contract/names.ts';
import { WORKFLOWS, type WorkflowName, workflowsOf } from '../functions/contract/workflows.ts';
import { AlarmTriggers } from './alarm-triggers.ts';
import { ClusterAlarms } from './cluster-alarms.ts';
import { ClusterNetwork } from './cluster-network.ts';
import { ConsoleEvents } from './console-events.ts';
import { CredentialsFunction } from './credentials-function.ts';
import { Dashboard } from './dashboard.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import { DispatchFunction } from './dispatch-function.ts';
import { checkEnvironments } from './environment-size.ts';
import { alarmNames } from './names.ts';
import { NodeCommands } from './node-commands.ts';
import { Notifications } from './notifications.ts';
import { authoritiesOf } from './presets.ts';
import { ProbeFunction } from './probe-function.ts';
import { checkArns } from './regions.ts';
import { SnapshotBucket } from './snapshot-bucket.ts';
import { StateTable } from './state-table.ts';
import { SwitchParameter } from './switch-parameter.ts';
import { WidgetFunction } from './widget-function.ts';
import { WorkflowFunction, type WorkflowFunctionProps } from './workflow-function.ts';
import { WorkflowSchedules } from './workflow-schedules.ts';

export interface EtcdMedicStackProps extends StackProps {
  readonly cluster: ClusterConfiguration;
}

/** Tags on dashboards are new (June 2026); where CloudFormation doesn't know them yet, it refuses the whole stack. */
const UNTAGGED: TagProps = { excludeResourceTypes: ['AWS::CloudWatch::Dashboard'] };

/** Shares nothing with another cluster's stack, so that each can be deployed and removed by itself. */
export class EtcdMedicStack extends Stack {
  /** Reports and alarms for people: an app of one's own subscribes to it what it likes. */
  readonly topic: ITopic;
  readonly alarms: readonly Alarm[];
  /** Starts a workflow for any of its triggers. */
  readonly dispatch: IFunction;
  /** The lease and the reports of all runs. */
  readonly table: StateTable;

  /**
   * @throws InvalidInputError where the configuration can't be deployed: too long for the functions' environment, ARNs
   *   of other regions, too many topics
   */
  constructor(scope: Construct, id: string, { cluster: configured, ...props }: EtcdMedicStackProps) {
    super(scope, id, {
      description: `etcd-medic for the control plane ${configured.name}: brings its etcd back from NOSPACE, and keeps it from getting there`,
      ...props,
    });
    checkArns(this, configured, `cluster ${JSON.stringify(configured.name)}`);
    Tags.of(this).add('app', 'etcd-medic', UNTAGGED);
    Tags.of(this).add('etcd-medic:cluster', configured.name, UNTAGGED);
    const network = ClusterNetwork.of(this, 'Network', configured);
    const issue = issuedBy(configured);
    const credentials =
      issue.length > 0
        ? new CredentialsFunction(this, 'Credentials', {
            cluster: forFunctions(configured),
            issue,
            authorities: authoritiesOf(configured),
            network,
          })
        : undefined;
    // With the secrets of what is issued: all others are given them as any other secret.
    const cluster = credentials?.cluster ?? forFunctions(configured);
    const { encryptionKeyArn } = cluster;
    const table = new StateTable(this, 'State', { encryptionKeyArn });
    const deadLetterQueue = new DeadLetterQueue(this, 'DeadLetters');
    const switchParameter = new SwitchParameter(this, 'Switch', cluster);
    const nodeCommands =
      cluster.nodes && new NodeCommands(this, 'Nodes', { clusterName: cluster.name, tag: cluster.nodes.tag });
    const snapshotBucket = snapshotBucketOf(this, cluster);
    const deployed = deployWorkflows(this, {
      cluster,
      table,
      switchParameter,
      deadLetterQueue,
      network,
      nodeCommands,
      snapshotBucket,
    });
    const dispatch = new DispatchFunction(this, 'Dispatch', {
      cluster,
      workflows: Object.fromEntries(deployed.map(([name, { live }]) => [name, live])),
      deadLetterQueue,
    });
    const probe = new ProbeFunction(this, 'Probe', { cluster, table, network });
    const { topic } = new Notifications(this, 'Notifications', {
      cluster,
      table,
      deadLetterQueue,
      workflowNames: deployed.map(([name]) => functionName(cluster.name, name)),
    });
    const { alarms } = new ClusterAlarms(this, 'ClusterAlarms', { cluster, topic, deadLetterQueue });
    credentials?.tell(topic);
    new AlarmTriggers(this, 'Alarms', {
      alarmNames: alarmNames(cluster),
      target: dispatch.function,
      deadLetterQueue,
    });
    new WorkflowSchedules(this, 'Schedules', { cluster, target: dispatch.function, deadLetterQueue });
    const widget = new WidgetFunction(this, 'Widget', {
      cluster,
      table,
      switchParameter,
      dispatchArn: dispatch.function.functionArn,
    });
    if (configured.console.registry !== false) {
      new ConsoleEvents(this, 'ConsoleEvents', {
        cluster: configured,
        functions: ['dispatch', 'probe', 'notify', 'widget', ...(credentials ? (['credentials'] as const) : [])],
        registry: configured.console.registry,
      });
    }
    this.topic = topic;
    this.alarms = alarms;
    this.dispatch = dispatch.function;
    this.table = table;
    const dashboard = new Dashboard(this, 'Dashboard', { cluster, widget: widget.function, alarms });

    output(this, 'DispatchFunctionName', dispatch.function.functionName, 'Press Test on this function to start a run');
    output(this, 'ProbeFunctionName', probe.function.functionName, 'Press Test on this function to see how etcd is');
    for (const [name, { function: deployedFunction }] of deployed) {
      output(
        this,
        `${idOf(name)}FunctionName`,
        deployedFunction.functionName,
        'The runs, step by step, under "Durable executions"',
      );
    }
    output(this, 'DashboardName', dashboard.dashboardName, 'In CloudWatch, under Dashboards');
    output(this, 'TopicArn', topic.topicArn, 'What happened, for people: subscribe to it');
    output(this, 'StateTableName', table.tableName, 'The lease and the reports of all runs');
    output(
      this,
      'SwitchParameterName',
      switchParameter.parameterName,
      `To stop all changes: ${switchParameter.command}`,
    );
    if (snapshotBucket) {
      output(this, 'SnapshotBucketName', snapshotBucket.bucketName, 'What etcd held before each change');
    }
    for (const purpose of issue) {
      const issuedTo = cluster[purpose]?.credentials;
      if (issuedTo && 'secretArn' in issuedTo) {
        output(
          this,
          `${purpose === 'etcd' ? 'Etcd' : 'Kubernetes'}SecretArn`,
          issuedTo.secretArn,
          'The client certificate that was issued; kept when the stack goes',
        );
      }
    }
    output(this, 'DeadLetterQueueUrl', deadLetterQueue.queueUrl, 'Events that nothing could be made of');
    checkEnvironments(this, `cluster ${JSON.stringify(cluster.name)}`);
  }
}

/** Without what only the credentials function is told, in a variable of its own: an environment has little room. */
function forFunctions({ nodes, ...cluster }: ClusterConfiguration): ClusterConfiguration {
  if (nodes === undefined) return cluster;
  const { authorities: _, ...others } = nodes;
  return { ...cluster, nodes: others };
}

/** Of a workflow's construct, and of what CloudFormation calls what is in it: `Recover` of `recover`. */
function idOf(name: WorkflowName): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

/** @returns the workflows that this cluster has, in the registry's order */
function deployWorkflows(
  scope: Construct,
  props: Omit<WorkflowFunctionProps, 'workflow' | 'pruneFunction'>,
): readonly (readonly [WorkflowName, WorkflowFunction])[] {
  const names = workflowsOf(props.cluster);
  const make = (workflow: WorkflowName, pruneFunction?: Alias) =>
    new WorkflowFunction(scope, idOf(workflow), { ...props, workflow, pruneFunction });
  const prune = names.includes('prune') ? make('prune') : undefined;
  return names.map((name) => {
    if (name === 'prune' && prune) return [name, prune];
    return [name, make(name, WORKFLOWS[name].ordersPruning ? prune?.live : undefined)];
  });
}

/** R13: the one that the configuration names, or a new one; undefined where no snapshots are wanted. */
function snapshotBucketOf(
  scope: Construct,
  { snapshot, encryptionKeyArn }: ClusterConfiguration,
): Pick<IBucket, 'bucketArn' | 'bucketName'> | undefined {
  if (snapshot === false) return undefined;
  if (snapshot?.bucket === undefined) return new SnapshotBucket(scope, 'Snapshots', { encryptionKeyArn });
  return Bucket.fromBucketName(scope, 'Snapshots', snapshot.bucket);
}

function output(scope: Construct, id: string, value: string, description: string): void {
  new CfnOutput(scope, id, { value, description });
}
