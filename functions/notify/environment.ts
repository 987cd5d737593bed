// What the function is told at deployment: its cluster, and where it reads, writes and sends.
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { InvalidInputError, SetupError } from '../contract/errors.ts';

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
 * @param environment `ETCD_MEDIC_CLUSTER`: the cluster's configuration as JSON; `ETCD_MEDIC_TABLE`, `ETCD_MEDIC_BUS`,
 * `ETCD_MEDIC_SWITCH`, `ETCD_MEDIC_TOPIC`
 * @throws SetupError where one is missing
 * @throws InvalidInputError for a configuration or a topic's ARN that cannot be worked with
 */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): NotifyEnvironment {
  const required = (name: string): string => {
    const value = environment[name]?.trim();
    if (value) return value;
    throw new SetupError(`the environment variable ${name} is not set; the stack sets it when it is deployed`);
  };
  const cluster = parseCluster(parseJson(required('ETCD_MEDIC_CLUSTER')), 'ETCD_MEDIC_CLUSTER');
  const topicArns = [...new Set([required('ETCD_MEDIC_TOPIC'), ...(cluster.notify?.topicArns ?? [])])];
  const unusable = topicArns.filter((arn) => !TOPIC_ARN.test(arn));
  if (unusable.length > 0) {
    throw new InvalidInputError(
      'ETCD_MEDIC_TOPIC, notify.topicArns',
      unusable.map((arn) => `found ${JSON.stringify(arn)}, expected the ARN of a standard SNS topic`),
    );
  }
  return {
    cluster,
    table: required('ETCD_MEDIC_TABLE'),
    bus: required('ETCD_MEDIC_BUS'),
    switchParameter: required('ETCD_MEDIC_SWITCH'),
    topicArns,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError('ETCD_MEDIC_CLUSTER', ['(the whole document): found text that is not JSON'], { cause });
  }
}
