// The stack's own alarms: what the probe, the workflows and the dead-letter queue tell, and when somebody is told of
// it.
import { Alarm, type AlarmProps, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { CLUSTER_METRICS } from '../functions/contract/metrics.ts';
import { type AlarmKind, alarmName, functionName } from '../functions/contract/names.ts';
import { clusterMetric, FIVE_MINUTES, failedRuns, hoursUntilFull } from './alarm-metrics.ts';
import { toldByAlarms } from './told-by-alarms.ts';

/** A member that is upgraded is away for a minute or two, and so is a probe whose function is deployed. */
const SUSTAINED_MINUTES = 5;
/** Longer than nearly every recovery takes, and shorter than anybody should sleep through. */
const PERSISTS_MINUTES = 30;

/**
 * A nightly maintenance comes in between, and whoever reads this in the morning still has time to act without haste.
 */
const SOON_FULL_HOURS = 24;

export interface ClusterAlarmsProps {
  readonly cluster: ClusterConfiguration;
  /** Where people are told. */
  readonly topic: ITopic;
  /** The stack's. */
  readonly deadLetterQueue: IQueue;
}

/** What each alarm says for itself; the rest is the same for all. */
interface Definition
  extends Pick<AlarmProps, 'metric' | 'threshold' | 'evaluationPeriods' | 'datapointsToAlarm' | 'treatMissingData'> {
  readonly kind: AlarmKind;
  /** For a person on a phone: what is the matter, and what to do. */
  readonly description: string;
  /** @default at or above the threshold */
  readonly comparison?: ComparisonOperator;
  /** Is it worth a message that it is over? */
  readonly tellsWhenOver: boolean;
}

export class ClusterAlarms extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, { cluster, topic, deadLetterQueue }: ClusterAlarmsProps) {
    super(scope, id);
    const definitions = [
      ...emergencies(cluster),
      ...outlook(cluster),
      ...absences(cluster),
      ...ownTroubles(cluster, deadLetterQueue),
    ];
    const actions = toldByAlarms(this, topic, cluster);
    this.alarms = definitions.map(({ kind, description, comparison, tellsWhenOver, ...props }) => {
      const alarm = new Alarm(this, kind, {
        alarmName: alarmName(cluster.name, kind),
        alarmDescription: description,
        comparisonOperator: comparison ?? ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        ...props,
      });
      alarm.addAlarmAction(...actions);
      if (tellsWhenOver) alarm.addOkAction(...actions);
      return alarm;
    });
  }
}

/**
 * etcd's own alarms. One look of the probe is enough: etcd raises them for certain, and every minute counts.
 * No data is "unknown", not "over": should NOSPACE still be there when the members answer again, that is a new cause.
 */
function emergencies(cluster: ClusterConfiguration): readonly Definition[] {
  const dispatch = functionName(cluster.name, 'dispatch');
  const nospace = clusterMetric(cluster, CLUSTER_METRICS.nospaceAlarms);
  const raised = { threshold: 1, treatMissingData: TreatMissingData.MISSING };
  return [
    {
      kind: 'nospace',
      ...raised,
      metric: nospace,
      evaluationPeriods: 1,
      tellsWhenOver: true,
      description:
        `etcd of cluster ${cluster.name} is full and refuses writes (NOSPACE). Nothing to do yet: the recovery is being started, and ` +
        `a message with its result follows, as a rule within minutes. To look: "Durable executions" of ${functionName(cluster.name, 'recover')}.`,
    },
    {
      kind: 'nospace-persists',
      ...raised,
      metric: nospace,
      // A look that nobody answered doesn't count: with older kubeadm's probes etcd restarts again and again while it
      // is full.
      evaluationPeriods: PERSISTS_MINUTES,
      // "nospace" tells when it is over.
      tellsWhenOver: false,
      description:
        `etcd of cluster ${cluster.name} is still full (NOSPACE) after ${PERSISTS_MINUTES} minutes: the recovery did not run, did not ` +
        'succeed, or takes this long. It is being started once more, and not again by itself. Do now: read the last message about a ' +
        `recovery; ${dryRun(dispatch, 'recover')} tells what stands in its way.`,
    },
    {
      kind: 'corrupt',
      ...raised,
      metric: clusterMetric(cluster, CLUSTER_METRICS.corruptAlarms),
      evaluationPeriods: 1,
      tellsWhenOver: true,
      description:
        `A member of etcd in cluster ${cluster.name} has raised CORRUPT: its data differs from the others'. etcd-medic changes nothing ` +
        'while this is so. Do now: do not disarm the alarm; find the member with "etcdctl alarm list", compare "etcdctl endpoint ' +
        'hashkv --cluster", and replace that member, or restore a snapshot.',
    },
  ];
}

/**
 * How full the fullest member is, and where that leads. Without data the state stays as it is: a probe that is silent
 * for a while is no new reason for a maintenance, and an hour that was bad once is no trend.
 */
function outlook(cluster: ClusterConfiguration): readonly Definition[] {
  const usagePercent = Math.round(cluster.maintain.quotaShareAbove * 1000) / 10;
  return [
    {
      kind: 'quota-usage',
      metric: clusterMetric(cluster, CLUSTER_METRICS.quotaUsage),
      // Where a maintenance defragments whatever it gains: below that it might be started and do nothing.
      threshold: usagePercent,
      comparison: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: SUSTAINED_MINUTES,
      treatMissingData: TreatMissingData.IGNORE,
      tellsWhenOver: true,
      description:
        `A member of etcd in cluster ${cluster.name} fills more than ${usagePercent} % of its quota. A maintenance is being started. Do: look ` +
        'whether the usage falls within the hour. If it does not, the live data is what fills it: delete what nobody needs, or raise ' +
        '--quota-backend-bytes before etcd refuses writes.',
    },
    {
      kind: 'soon-full',
      metric: hoursUntilFull(cluster),
      threshold: SOON_FULL_HOURS,
      comparison: ComparisonOperator.LESS_THAN_THRESHOLD,
      // Three hours of the last four. After a defragmentation a file grows back fast until its free pages last from one
      // compaction to the next, and somebody may install something large: neither shows in three.
      evaluationPeriods: 4,
      datapointsToAlarm: 3,
      treatMissingData: TreatMissingData.IGNORE,
      tellsWhenOver: true,
      description:
        `At the growth of the last hours, etcd of cluster ${cluster.name} is full in less than ${SOON_FULL_HOURS} hours. ` +
        'Do: see "What fills it" on the dashboard, which names the kinds that grow and who writes them; ' +
        `${dryRun(functionName(cluster.name, 'dispatch'), 'maintain')} tells what a maintenance would gain.`,
    },
  ];
}

/** Who doesn't answer. */
function absences(cluster: ClusterConfiguration): readonly Definition[] {
  return [
    {
      kind: 'member-away',
      metric: clusterMetric(cluster, CLUSTER_METRICS.membersAway),
      threshold: 1,
      evaluationPeriods: SUSTAINED_MINUTES,
      // Whether anybody is away is unknown then, and "probe-silent" says so.
      treatMissingData: TreatMissingData.MISSING,
      tellsWhenOver: true,
      description:
        `A voter of etcd in cluster ${cluster.name} has not answered for ${SUSTAINED_MINUTES} minutes. While one is away nothing is ` +
        'defragmented, and one more may cost the quorum. Do: the dashboard names it; look at its node, the kubelet, and "crictl logs" of etcd.',
    },
    {
      kind: 'probe-silent',
      metric: clusterMetric(cluster, CLUSTER_METRICS.membersAnswering),
      threshold: 1,
      comparison: ComparisonOperator.LESS_THAN_THRESHOLD,
      evaluationPeriods: SUSTAINED_MINUTES,
      // The one alarm for which no data is the matter itself: all the others see nothing now.
      treatMissingData: TreatMissingData.BREACHING,
      tellsWhenOver: true,
      description:
        `No member of etcd in cluster ${cluster.name} has answered the probe for ${SUSTAINED_MINUTES} minutes, or the probe itself does not ` +
        'run: no other alarm can be relied upon now. Do: see whether kubectl works; then read the log of function ' +
        `${functionName(cluster.name, 'probe')} (network, security group, expired certificate?).`,
    },
  ];
}

/** What went wrong with etcd-medic itself. Where there is no data, nothing ran and nothing lies in the queue. */
function ownTroubles(cluster: ClusterConfiguration, deadLetterQueue: IQueue): readonly Definition[] {
  const quiet = { threshold: 1, treatMissingData: TreatMissingData.NOT_BREACHING, tellsWhenOver: false };
  return [
    {
      kind: 'run-failed',
      ...quiet,
      metric: failedRuns(cluster),
      // One of the last three: a line of the log becomes a metric with a delay, when its own five minutes have long
      // been filled with 0.
      evaluationPeriods: 3,
      datapointsToAlarm: 1,
      description:
        `A run of etcd-medic on cluster ${cluster.name} failed, or ended because somebody has to act. Do: read the message about it; the ` +
        'dashboard has the last runs with their reasons. (This goes back to OK by itself: it counts the last 15 minutes.)',
    },
    {
      kind: 'dead-letters',
      ...quiet,
      metric: deadLetterQueue.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES, statistic: 'Maximum' }),
      evaluationPeriods: 1,
      description:
        `An alarm, a schedule or a run of cluster ${cluster.name} could not be worked with and lies in the dead-letter queue: perhaps a run ` +
        'that should have been was not. Do: read it in the SQS console (its attributes say why), start by hand what was missed, delete it.',
    },
  ];
}

function dryRun(dispatch: string, workflow: 'recover' | 'maintain'): string {
  return `Test on function ${dispatch} with {"workflow":"${workflow}","dryRun":true}`;
}
