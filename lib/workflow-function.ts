// A durable function that runs one workflow: each step is checkpointed, and a run stays on the code that it began with.
import { Annotations, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Alias, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { EVENT_SOURCE } from '../functions/contract/event-names.ts';
import { NAMESPACE } from '../functions/contract/metrics.ts';
import { functionName } from '../functions/contract/names.ts';
import { LONGEST_INVOCATION_MS, WAIT_FOR_TURN_HOURS } from '../functions/contract/times.ts';
import type { FunctionVariables } from '../functions/contract/variables.ts';
import { WORKFLOWS, type WorkflowName } from '../functions/contract/workflows.ts';
import type { ClusterNetwork } from './cluster-network.ts';
import { type EncryptedService, grantEncryptionKey, servicesUsed } from './encryption-key.ts';
import { arnInFindings } from './findings.ts';
import { FunctionRole, readSecret } from './function-role.ts';
import { MedicFunction } from './medic-function.ts';
import { EVENT_BUS, functionArn } from './names.ts';
import type { NodeCommands } from './node-commands.ts';
import { grantSnapshotWrite } from './snapshot-bucket.ts';
import type { StateTable } from './state-table.ts';
import type { SwitchParameter } from './switch-parameter.ts';

/** One defragmentation is one step and cannot be cut in two, so a step gets all the time that Lambda has. */
const INVOCATION_TIMEOUT = Duration.millis(LONGEST_INVOCATION_MS);

/**
 * Lambda keeps a closed run's checkpoints, to be looked at in the console, for this long; the table keeps the report.
 */
const CHECKPOINT_RETENTION = Duration.days(30);

export interface WorkflowFunctionProps {
  readonly cluster: ClusterConfiguration;
  /** The folder of its handler under functions/, and the last part of the function's name. */
  readonly workflow: WorkflowName;
  readonly table: StateTable;
  readonly switchParameter: SwitchParameter;
  /** @default it runs outside of any VPC */
  readonly network?: ClusterNetwork | undefined;
  /** Only what works on etcd has use for it. @default no nodes are configured: nothing is sent to any */
  readonly nodeCommands?: NodeCommands | undefined;
  /** Only what works on etcd has use for it. @default no snapshots are wanted, and none may be written */
  readonly snapshotBucket?: Pick<IBucket, 'bucketArn' | 'bucketName'> | undefined;
  /** What this workflow has stale reports deleted by, as a part of its own run. @default it deletes none */
  readonly pruneFunction?: Alias | undefined;
  /** Gets the event of a run that ended without a report. Lambda does not start such a run again. */
  readonly deadLetterQueue: IQueue;
}

export class WorkflowFunction extends Construct {
  readonly function: LambdaFunction;
  /** What starts the workflow: durable functions are invoked by a version or an alias only. */
  readonly live: Alias;

  constructor(scope: Construct, id: string, given: WorkflowFunctionProps) {
    super(scope, id);
    const workflow = WORKFLOWS[given.workflow];
    const props = workflow.reaches === 'etcd' ? given : withoutEtcd(given);
    const { cluster } = props;
    const name = functionName(cluster.name, props.workflow);
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const network = props.network?.functionNetwork(workflow.reaches);
    const role = new FunctionRole(this, 'Role', {
      functionName: name,
      logGroup,
      inVpc: network !== undefined,
      policies: workflowPolicies(Stack.of(this), name, props),
    });
    props.nodeCommands?.grantTo(role, workflow.documents);
    grantEncryptionKey(role, cluster, encryptedServices(props));
    Validations.of(role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:lambda:<AWS::Region>:<AWS::AccountId>:function:${name}:*]`,
      reason:
        'A run reads and writes its own checkpoints under the version that it began with, and versions have numbers.',
    });
    if (props.snapshotBucket) {
      Validations.of(role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::${arnInFindings(this, `${props.snapshotBucket.bucketArn}/${cluster.name}/*`)}]`,
        reason: "A snapshot's name ends in its time and revision; only this cluster's begin with the cluster's name.",
      });
    }

    this.function = new MedicFunction(this, 'Function', {
      functionName: name,
      description: describe(props),
      source: props.workflow,
      memorySize: 512,
      timeout: INVOCATION_TIMEOUT,
      durableConfig: { executionTimeout: executionTimeout(props), retentionPeriod: CHECKPOINT_RETENTION },
      // A version that a deployment deleted would take the runs that are pinned to it along. Also where the deployment
      // that made it is taken back, since runs may have begun with it: so not RETAIN_ON_UPDATE_OR_DELETE. All versions
      // go with their function.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
      role,
      logGroup,
      deadLetterQueue: props.deadLetterQueue,
      ...network?.props,
      environment: {
        ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
        ETCD_MEDIC_TABLE: props.table.tableName,
        ETCD_MEDIC_BUS: EVENT_BUS,
        ETCD_MEDIC_SWITCH: props.switchParameter.parameterName,
        ...(props.snapshotBucket &&
          ({ ETCD_MEDIC_SNAPSHOT_BUCKET: props.snapshotBucket.bucketName } satisfies FunctionVariables)),
        ...(props.pruneFunction &&
          ({ ETCD_MEDIC_PRUNE_FUNCTION: props.pruneFunction.functionArn } satisfies FunctionVariables)),
        POWERTOOLS_METRICS_NAMESPACE: NAMESPACE,
        ...network?.environment,
      },
    });
    Annotations.of(this.function).acknowledgeInfo(
      'aws-lambda:Function.DurableConfig',
      'It has been durable from its first version on.',
    );
    this.live = this.function.addAlias('live', { description: 'The deployed version; runs are started by this name.' });
  }
}

/** What speaks to the API server alone has no nodes, takes no snapshot, and starts nothing itself. */
function withoutEtcd({ cluster, ...props }: WorkflowFunctionProps): WorkflowFunctionProps {
  const nothing = { nodeCommands: undefined, snapshotBucket: undefined, pruneFunction: undefined };
  return { ...props, ...nothing, cluster: { ...cluster, snapshot: false } };
}

function encryptedServices({ cluster, workflow, snapshotBucket }: WorkflowFunctionProps): readonly EncryptedService[] {
  return servicesUsed(credentialsOf(workflow, cluster), snapshotBucket ? ['dynamodb', 's3'] : ['dynamodb']);
}

function credentialsOf(workflow: WorkflowName, cluster: ClusterConfiguration) {
  return cluster[WORKFLOWS[workflow].reaches]?.credentials;
}

/** What the Lambda console shows above it: at most 256 characters. */
function describe({ cluster, workflow }: WorkflowFunctionProps): string {
  const dispatch = functionName(cluster.name, 'dispatch');
  return `${WORKFLOWS[workflow].description(cluster.name)}. Don't press Test here: a run outlasts a synchronous call. Press Test on ${dispatch}, which starts it.`;
}

/**
 * Each may have to wait for its turn first. CloudFormation changes a timeout in place.
 */
function executionTimeout({ workflow, pruneFunction }: WorkflowFunctionProps): Duration {
  const { alone, withPruning } = WORKFLOWS[workflow].hours;
  return Duration.hours(WAIT_FOR_TURN_HOURS + (pruneFunction ? withPruning : alone));
}

/** What the code of a workflow does with AWS, and on what: nothing else is granted. */
function workflowPolicies(
  stack: Stack,
  name: string,
  { cluster, workflow, table, switchParameter, snapshotBucket, pruneFunction }: WorkflowFunctionProps,
): Record<string, PolicyStatement[]> {
  const stateActions = ['dynamodb:DeleteItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'];
  return {
    Checkpoints: [
      new PolicyStatement({
        actions: ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
        resources: [`${functionArn(stack, name)}:*`],
      }),
    ],
    State: [
      new PolicyStatement({
        actions: WORKFLOWS[workflow].readsHistory ? [...stateActions, 'dynamodb:Query'] : stateActions,
        resources: [table.tableArn],
        conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [cluster.name] } },
      }),
    ],
    Events: [
      new PolicyStatement({
        actions: ['events:PutEvents'],
        resources: [stack.formatArn({ service: 'events', resource: 'event-bus', resourceName: EVENT_BUS })],
        conditions: { StringEquals: { 'events:source': EVENT_SOURCE } },
      }),
    ],
    Switch: [new PolicyStatement({ actions: ['ssm:GetParameter'], resources: [switchParameter.parameterArn] })],
    ...(snapshotBucket && { Snapshots: grantSnapshotWrite(snapshotBucket.bucketArn, cluster.name) }),
    ...(pruneFunction && {
      // A chained invocation is made with the role of the run that asks for it.
      Pruning: [new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [pruneFunction.functionArn] })],
    }),
    ...readSecret(credentialsOf(workflow, cluster)),
  };
}
