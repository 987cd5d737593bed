// What runs by the clock: EventBridge Scheduler starts each workflow that has a schedule (maintenance and pruning,
// nightly) and a rehearsal of all each week, in the configured time zones.
import { Stack } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule, ContextAttribute } from 'aws-cdk-lib/aws-scheduler';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { type Schedule, scheduleOf } from '../functions/contract/policies.ts';
import { type WorkflowName, workflowsOf } from '../functions/contract/workflows.ts';
import { rehearsalName, scheduleName } from './names.ts';

export interface WorkflowSchedulesProps {
  readonly cluster: ClusterConfiguration;
  /** Dispatch. */
  readonly target: IFunction;
  /** Gets what could not be handed to the target in time. */
  readonly deadLetterQueue: IQueue;
}

/**
 * What has no window and begins later than this would run into the working day, and tomorrow's does its work as well.
 */
const LATE_MINUTES = 60;

/** The most that Scheduler allows: how late a start may be is what bounds the tries. */
const MAX_RETRIES = 185;

/** A rehearsal that could not begin within the hour is not worth a working day's end; the next one comes in a week. */
const REHEARSAL_LATE_MINUTES = 60;

interface Scheduled {
  readonly id: string;
  readonly name: string;
  readonly workflow: WorkflowName;
  /** A dry run, of which people hear only where it fails. */
  readonly rehearsal: boolean;
  readonly schedule: Exclude<Schedule, false>;
  /** A start that is later than this is dropped. */
  readonly lateMinutes: number;
}

/** Makes nothing at all, not even a role, where nothing is scheduled. */
export class WorkflowSchedules extends Construct {
  constructor(scope: Construct, id: string, { cluster, target, deadLetterQueue }: WorkflowSchedulesProps) {
    super(scope, id);
    const all = [...nightliesOf(cluster), ...rehearsalsOf(cluster)];
    if (all.length === 0) return;
    const role = new SchedulerRole(this, 'Role', { target, deadLetterQueue });
    for (const { id: scheduleId, name, workflow, rehearsal, schedule, lateMinutes } of all) {
      new CfnSchedule(this, scheduleId, {
        name,
        description: `${rehearsal ? 'Rehearses' : 'Starts'} ${workflow} on cluster ${cluster.name} through ${target.functionName}`,
        scheduleExpression: `cron(${schedule.cron})`,
        scheduleExpressionTimezone: schedule.timeZone,
        // The hour is the configuration's; a window of Scheduler's own would only take from it.
        flexibleTimeWindow: { mode: 'OFF' },
        target: {
          arn: target.functionArn,
          roleArn: role.roleArn,
          input: JSON.stringify(inputOf(workflow, rehearsal)),
          retryPolicy: { maximumEventAgeInSeconds: lateMinutes * 60, maximumRetryAttempts: MAX_RETRIES },
          deadLetterConfig: { arn: deadLetterQueue.queueArn },
        },
      });
    }
  }
}

/** Scheduler fills in its ARN and the time, the same for each attempt: one night, one run. */
function inputOf(workflow: WorkflowName, rehearsal: boolean): object {
  const trigger = {
    kind: 'schedule',
    source: ContextAttribute.scheduleArn,
    at: ContextAttribute.scheduledTime,
  };
  return rehearsal ? { workflow, dryRun: true, trigger: { ...trigger, rehearsal } } : { workflow, trigger };
}

function nightliesOf(cluster: ClusterConfiguration): readonly Scheduled[] {
  return workflowsOf(cluster).flatMap((workflow) => {
    const { schedule = false, windowMinutes: lateMinutes = LATE_MINUTES } = scheduleOf(cluster, workflow) ?? {};
    if (schedule === false) return [];
    const name = scheduleName(cluster, workflow);
    return [{ id: workflow, name, workflow, rehearsal: false, schedule, lateMinutes }];
  });
}

/**
 * All at the same time: a dry run takes no lease. Also of what has no schedule of its own, since alarms and other runs
 * start it.
 */
function rehearsalsOf(cluster: ClusterConfiguration): readonly Scheduled[] {
  const { rehearsal: schedule } = cluster;
  if (schedule === false) return [];
  return workflowsOf(cluster).map((workflow) => ({
    id: `rehearse-${workflow}`,
    name: rehearsalName(cluster, workflow),
    workflow,
    rehearsal: true,
    schedule,
    lateMinutes: REHEARSAL_LATE_MINUTES,
  }));
}

/**
 * May call dispatch and nothing else, and only for a schedule of this account: the group is the least that Scheduler
 * lets one name.
 */
class SchedulerRole extends Role {
  constructor(scope: Construct, id: string, { target, deadLetterQueue }: Omit<WorkflowSchedulesProps, 'cluster'>) {
    const stack = Stack.of(scope);
    const group = stack.formatArn({ service: 'scheduler', resource: 'schedule-group', resourceName: 'default' });
    super(scope, id, {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': stack.account, 'aws:SourceArn': group } },
      }),
      description: 'Lets EventBridge Scheduler start the nightly runs and the rehearsals',
      inlinePolicies: {
        Start: new PolicyDocument({
          statements: [
            new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [target.functionArn] }),
            new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [deadLetterQueue.queueArn] }),
          ],
        }),
      },
    });
  }
}
