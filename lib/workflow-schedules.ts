// The nightly runs: EventBridge Scheduler starts maintenance and pruning at the configured hour, in the configured time zone.
import { Stack } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule, ContextAttribute } from 'aws-cdk-lib/aws-scheduler';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/run/configuration.ts';
import { scheduleName } from './names.ts';

export interface WorkflowSchedulesProps {
  readonly cluster: ClusterConfiguration;
  /** Dispatch. */
  readonly target: IFunction;
  /** Gets what could not be handed to the target in time. */
  readonly deadLetterQueue: IQueue;
}

/** A pruning that begins later than this would run into the working day, and tomorrow's does its work as well. */
const PRUNE_LATE_MINUTES = 60;

/** The most that Scheduler allows: how late a start may be is what bounds the tries. */
const MAX_RETRIES = 185;

interface Nightly {
  readonly workflow: 'maintain' | 'prune';
  readonly schedule: Exclude<ClusterConfiguration['maintain']['schedule'], false>;
  /** A start that is later than this is dropped. */
  readonly lateMinutes: number;
}

/** Makes nothing at all, not even a role, where no workflow has a schedule. */
export class WorkflowSchedules extends Construct {
  constructor(scope: Construct, id: string, { cluster, target, deadLetterQueue }: WorkflowSchedulesProps) {
    super(scope, id);
    const nightlies = nightliesOf(cluster);
    if (nightlies.length === 0) return;
    const role = new SchedulerRole(this, 'Role', { target, deadLetterQueue });
    for (const { workflow, schedule, lateMinutes } of nightlies) {
      new CfnSchedule(this, workflow, {
        name: scheduleName(cluster, workflow),
        description: `Starts ${workflow} on cluster ${cluster.name} through ${target.functionName}`,
        scheduleExpression: `cron(${schedule.cron})`,
        scheduleExpressionTimezone: schedule.timeZone,
        // The hour is the configuration's; a window of Scheduler's own would only take from it.
        flexibleTimeWindow: { mode: 'OFF' },
        target: {
          arn: target.functionArn,
          roleArn: role.roleArn,
          // Scheduler fills in its ARN and the time, the same for each attempt: one night, one run.
          input: JSON.stringify({
            workflow,
            trigger: { kind: 'schedule', source: ContextAttribute.scheduleArn, at: ContextAttribute.scheduledTime },
          }),
          retryPolicy: { maximumEventAgeInSeconds: lateMinutes * 60, maximumRetryAttempts: MAX_RETRIES },
          deadLetterConfig: { arn: deadLetterQueue.queueArn },
        },
      });
    }
  }
}

function nightliesOf({ maintain, prune, kubernetes }: ClusterConfiguration): readonly Nightly[] {
  const nightlies: Nightly[] = [];
  if (maintain.schedule !== false) {
    nightlies.push({ workflow: 'maintain', schedule: maintain.schedule, lateMinutes: maintain.windowMinutes });
  }
  if (kubernetes && prune.schedule !== false) {
    nightlies.push({ workflow: 'prune', schedule: prune.schedule, lateMinutes: PRUNE_LATE_MINUTES });
  }
  return nightlies;
}

/** May call dispatch and nothing else, and only for a schedule of this account: the group is the least that Scheduler lets one name. */
class SchedulerRole extends Role {
  constructor(scope: Construct, id: string, { target, deadLetterQueue }: Omit<WorkflowSchedulesProps, 'cluster'>) {
    const stack = Stack.of(scope);
    const group = stack.formatArn({ service: 'scheduler', resource: 'schedule-group', resourceName: 'default' });
    super(scope, id, {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': stack.account, 'aws:SourceArn': group } },
      }),
      description: 'Lets EventBridge Scheduler start the nightly runs',
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
