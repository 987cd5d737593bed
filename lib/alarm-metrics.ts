// What the stack's alarms look at: the probe's metrics as they are, and what is calculated from them and from the
// runs'.
import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { CLUSTER_METRICS, NAMESPACE } from '../functions/contract/metrics.ts';
import { functionName } from '../functions/contract/names.ts';
import { workflowsOf } from '../functions/contract/workflows.ts';

/** Of metrics that aren't there each minute. */
export const FIVE_MINUTES = Duration.minutes(5);
const HOUR = Duration.hours(1);

/** What "hours until the quota is full" says while the file doesn't grow: a month. */
const NOT_GROWING_HOURS = 720;

/** One of the probe's, which puts each out once a minute. */
export function clusterMetric(cluster: ClusterConfiguration, metricName: string): Metric {
  return new Metric({
    namespace: NAMESPACE,
    metricName,
    dimensionsMap: { cluster: cluster.name },
    statistic: 'Maximum',
    period: Duration.minutes(1),
  });
}

/**
 * Hours from the growth between the last two hours' lowest looks: an odd look upwards doesn't count, and what is
 * written within an hour shows in two of them at most (in an average it would in three). RATE is per second. A file
 * that doesn't grow, or that shrank when it was defragmented, is never full.
 */
export function hoursUntilFull(cluster: ClusterConfiguration): IMetric {
  return new MathExpression({
    label: 'Hours until the quota is full',
    expression: `IF(RATE(usage) > 0, (100 - usage) / (RATE(usage) * ${HOUR.toSeconds()}), ${NOT_GROWING_HOURS})`,
    usingMetrics: {
      usage: clusterMetric(cluster, CLUSTER_METRICS.quotaUsage).with({ statistic: 'Minimum', period: HOUR }),
    },
    period: HOUR,
  });
}

/**
 * Each combination of workflow and outcome is a metric of its own, which isn't there until it has happened once: hence
 * FILL.
 */
export function failedRuns(cluster: ClusterConfiguration): IMetric {
  const runs = workflowsOf(cluster).flatMap((workflow) =>
    (['failed', 'escalated'] as const).map((outcome) => {
      const metric = new Metric({
        namespace: NAMESPACE,
        metricName: 'RunOutcome',
        // Powertools adds `service`, which is the function's name: without it this would be another metric.
        dimensionsMap: { service: functionName(cluster.name, workflow), cluster: cluster.name, workflow, outcome },
        statistic: 'Sum',
        period: FIVE_MINUTES,
      });
      return [`${workflow}_${outcome}`, metric] as const;
    }),
  );
  return new MathExpression({
    label: 'Runs that failed or escalated',
    expression: runs.map(([id]) => `FILL(${id}, 0)`).join(' + '),
    usingMetrics: Object.fromEntries(runs),
    period: FIVE_MINUTES,
  });
}
