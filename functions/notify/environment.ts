// What the function is told at deployment: its cluster, and where it reads, writes and sends.
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { InvalidInputError } from '../contract/errors.ts';
import { type Environment, required, requiredJson } from '../contract/variables.ts';

export interface NotifyEnvironment {
  readonly cluster: ClusterConfiguration;
  /** The DynamoDB table of lease and history. */
  readonly table: string;
  /** The EventBridge bus for escalations. */
  readonly bus: string;
  /** The parameter that is the switch (R16), for the command that turns it. */
  readonly switchParameter: string;
  /** ARNs: the stack's own topic first, then those of `notify.topicArns`; each once. */
  readonly topicArns: readonly string[];
}

/** A FIFO topic is none: it wants a message group, and sends no e-mail. */
const TOPIC_ARN = /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}$/;

/**
 * @param env `ETCD_MEDIC_CLUSTER`: the cluster's configuration as JSON; `ETCD_MEDIC_TABLE`, `ETCD_MEDIC_BUS`,
 * `ETCD_MEDIC_SWITCH`, `ETCD_MEDIC_TOPIC`
 * @throws SetupError where one is missing
 * @throws InvalidInputError for a configuration or a topic's ARN that cannot be worked with
 */
export function readEnvironment(env: Environment): NotifyEnvironment {
  const cluster = parseCluster(requiredJson(env, 'ETCD_MEDIC_CLUSTER'), 'ETCD_MEDIC_CLUSTER');
  const topicArns = [...new Set([required(env, 'ETCD_MEDIC_TOPIC'), ...(cluster.notify?.topicArns ?? [])])];
  const unusable = topicArns.filter((arn) => !TOPIC_ARN.test(arn));
  if (unusable.length > 0) {
    throw new InvalidInputError(
      'ETCD_MEDIC_TOPIC, notify.topicArns',
      unusable.map((arn) => `found ${JSON.stringify(arn)}, expected the ARN of a standard SNS topic`),
    );
  }
  return {
    cluster,
    table: required(env, 'ETCD_MEDIC_TABLE'),
    bus: required(env, 'ETCD_MEDIC_BUS'),
    switchParameter: required(env, 'ETCD_MEDIC_SWITCH'),
    topicArns,
  };
}
