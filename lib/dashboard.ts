// A cluster's dashboard in CloudWatch: the page that the widget draws, the alarms, and how the figures went.
import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard as CloudWatchDashboard,
  CustomWidget,
  GraphWidget,
  type GraphWidgetProps,
  type IAlarm,
  type IMetric,
  SearchExpression,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { CLUSTER_METRICS, CONTENTS_METRICS, MEMBER_METRICS, NAMESPACE } from '../functions/contract/metrics.ts';
import { clusterMetric } from './alarm-metrics.ts';

/** A dashboard's grid is so wide. */
const FULL_WIDTH = 24;
const THIRD = FULL_WIDTH / 3;
/** The page of three members with what fills them, and their last runs; whatever is longer is scrolled to. */
const PAGE_HEIGHT = 17;
const GRAPH_HEIGHT = 6;

const PERIOD = Duration.minutes(5);
const RUNS_PERIOD = Duration.hours(1);

/** A week shows seven nights. */
const DEFAULT_INTERVAL = Duration.days(7);

export interface DashboardProps {
  readonly cluster: ClusterConfiguration;
  /** Draws the page. */
  readonly widget: Pick<IFunction, 'functionArn'>;
  /** The stack's, and whatever else belongs here. None: their list is left out. */
  readonly alarms: readonly IAlarm[];
}

export class Dashboard extends Construct {
  /** For links to it. */
  readonly dashboardName: string;

  constructor(scope: Construct, id: string, { cluster, widget, alarms }: DashboardProps) {
    super(scope, id);
    this.dashboardName = `etcd-medic-${cluster.name}`;
    const page = new CustomWidget({
      title: `etcd of ${cluster.name}`,
      functionArn: widget.functionArn,
      width: FULL_WIDTH,
      height: PAGE_HEIGHT,
      updateOnRefresh: true,
      // It is drawn for the width that it has.
      updateOnResize: true,
      updateOnTimeRangeChange: true,
    });
    const list = new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: FULL_WIDTH, height: 3 });
    new CloudWatchDashboard(this, 'Dashboard', {
      dashboardName: this.dashboardName,
      defaultInterval: DEFAULT_INTERVAL,
      widgets: [[page], ...(alarms.length > 0 ? [[list]] : []), ...graphs(cluster)],
    });
  }
}

function graphs(cluster: ClusterConfiguration): GraphWidget[][] {
  const one = (metricName: string, label: string) => clusterMetric(cluster, metricName).with({ label, period: PERIOD });
  const usagePercent = Math.round(cluster.maintain.quotaShareAbove * 1000) / 10;
  return [
    [
      graph('Fullest file against its quota', 'percent', {
        left: [one(CLUSTER_METRICS.quotaUsage, 'used')],
        leftAnnotations: [{ value: usagePercent, label: `maintenance from ${usagePercent} %`, color: '#d13212' }],
      }),
      graph('Files, by member', 'bytes', {
        left: [
          perMember(cluster, MEMBER_METRICS.dbSize, 'file'),
          perMember(cluster, MEMBER_METRICS.dbSizeInUse, 'of it live'),
        ],
      }),
      graph('Members', 'members', {
        left: [
          one(CLUSTER_METRICS.membersAnswering, 'answer'),
          one(CLUSTER_METRICS.membersAway, 'away'),
          one(CLUSTER_METRICS.nospaceAlarms, 'NOSPACE'),
          one(CLUSTER_METRICS.corruptAlarms, 'CORRUPT'),
        ],
      }),
    ],
    [
      graph('What is live, by kind', 'bytes', { left: [perKind(cluster, CONTENTS_METRICS.live)], stacked: true }),
      graph('What is history, by kind', 'bytes', { left: [perKind(cluster, CONTENTS_METRICS.history)], stacked: true }),
      graph('Writes, by kind', 'a minute, at least', { left: [perKind(cluster, CONTENTS_METRICS.writes)] }),
    ],
    [
      graph('Runs, by workflow and outcome', 'runs', { left: [perRun(cluster, 'RunOutcome', 'Sum')], stacked: true }),
      graph('Given back by defragmentations', 'bytes', { left: [perRun(cluster, 'ReclaimedBytes', 'Sum')] }),
      graph('How long runs took', 'milliseconds', { left: [perRun(cluster, 'DurationMs', 'Maximum')] }),
    ],
  ];
}

function graph(title: string, unit: string, lines: GraphWidgetProps): GraphWidget {
  const leftYAxis = { min: 0, label: unit, showUnits: false };
  return new GraphWidget({ title, width: THIRD, height: GRAPH_HEIGHT, leftYAxis, ...lines });
}

/** A line for each member, of which nobody knows here how many there are and what they are called. */
function perMember(cluster: ClusterConfiguration, metricName: string, label: string): IMetric {
  return found(cluster, {
    metricName,
    dimensions: ['cluster', 'member'],
    statistic: 'Maximum',
    period: PERIOD,
    label: `${dimension('member')} ${label}`,
  });
}

/** A line for each kind that was among the largest; a point a night. */
function perKind(cluster: ClusterConfiguration, metricName: string): IMetric {
  return found(cluster, {
    metricName,
    dimensions: ['cluster', 'kind'],
    statistic: 'Maximum',
    period: RUNS_PERIOD,
    label: dimension('kind'),
  });
}

/** A line for each combination of workflow and outcome that there has been. */
function perRun(cluster: ClusterConfiguration, metricName: string, statistic: string): IMetric {
  return found(cluster, {
    metricName,
    // Powertools adds `service`.
    dimensions: ['cluster', 'outcome', 'service', 'workflow'],
    statistic,
    period: RUNS_PERIOD,
    label: `${dimension('workflow')} ${dimension('outcome')}`,
  });
}

/** What CloudWatch puts in its place in a label. */
function dimension(name: string): string {
  return `$\{PROP('Dim.${name}')}`;
}

interface Search {
  readonly metricName: string;
  /** All of the metric's: one with others is another metric. */
  readonly dimensions: readonly string[];
  readonly statistic: string;
  readonly period: Duration;
  readonly label: string;
}

/** Names that are more than letters and digits stand in double quotes, and so do values that must match as a whole. */
function found(
  { name }: ClusterConfiguration,
  { metricName, dimensions, statistic, period, label }: Search,
): SearchExpression {
  const schema = [NAMESPACE, ...dimensions].map((each) => `"${each}"`).join(',');
  const terms = `MetricName="${metricName}" cluster="${name}"`;
  return new SearchExpression({
    expression: `SEARCH('{${schema}} ${terms}', '${statistic}', ${period.toSeconds()})`,
    label,
    period,
  });
}
