// Puts the probe's figures out as metrics: lines of embedded metric format on standard output, of which CloudWatch
// makes them.
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { CLUSTER_METRICS, DIMENSION, MEMBER_METRICS, NAMESPACE } from '../contract/metrics.ts';
import type { ProbedMember } from '../contract/probe-record.ts';
import type { ClusterFigures } from './summary.ts';

export interface Published {
  readonly cluster: string;
  /** When the look was taken: all of its metrics fall into the same minute. */
  readonly at: Date;
  readonly figures: ClusterFigures;
  readonly members: readonly ProbedMember[];
}

const UNITS = {
  nospaceAlarms: MetricUnit.Count,
  corruptAlarms: MetricUnit.Count,
  membersAnswering: MetricUnit.Count,
  membersAway: MetricUnit.Count,
  quotaUsage: MetricUnit.Percent,
  hasLeader: MetricUnit.Count,
} as const satisfies Record<keyof ClusterFigures, string>;

/**
 * One line for the cluster and one a member. What isn't known is left out: a 0 in its place would say that all is well.
 * @returns how many lines; 0 where metrics are switched off (`POWERTOOLS_METRICS_DISABLED`)
 */
export function publishMetrics({ cluster, at, figures, members }: Published): number {
  const emf = new ProbeMetrics({ namespace: NAMESPACE });
  if (emf.areOff) return 0;
  // Powertools adds `service` to every set of dimensions; an alarm would have to name it.
  emf.clearDefaultDimensions();

  emf.addDimensions({ cluster });
  for (const name of keysOf(CLUSTER_METRICS)) {
    const value = figures[name];
    if (value !== undefined) emf.addMetric(CLUSTER_METRICS[name], UNITS[name], value);
  }
  emf.setTimestamp(at).publishStoredMetrics();

  for (const member of members) {
    emf.addDimensions({ cluster, member: dimensionOf(member, members) });
    emf.addMetric(MEMBER_METRICS.healthy, MetricUnit.Count, member.healthy ? 1 : 0);
    if (member.dbSize !== null) emf.addMetric(MEMBER_METRICS.dbSize, MetricUnit.Bytes, member.dbSize);
    if (member.dbSizeInUse !== null) emf.addMetric(MEMBER_METRICS.dbSizeInUse, MetricUnit.Bytes, member.dbSizeInUse);
    emf.setTimestamp(at).publishStoredMetrics();
  }
  return 1 + members.length;
}

class ProbeMetrics extends Metrics {
  get areOff(): boolean {
    return this.isDisabled();
  }
}

/** Its name, or its id where CloudWatch does not take the name, or where another has the same: etcd forbids neither. */
function dimensionOf({ id, name }: ProbedMember, members: readonly ProbedMember[]): string {
  return DIMENSION.test(name) && members.filter((other) => other.name === name).length === 1 ? name : id;
}

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): readonly Key[] {
  return Object.keys(record) as Key[];
}
