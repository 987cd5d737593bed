// How people hear of a cluster: the topic that alarms and reports go to, and the events that a report is made of.
import { Duration, Stack } from 'aws-cdk-lib';
import { type EventPattern, Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { DEATHS, EVENT_SOURCE, FINISHED, STATUS_CHANGE } from '../functions/contract/event-names.ts';
import { functionArn } from './names.ts';
import { NotifyFunction } from './notify-function.ts';
import type { StateTable } from './state-table.ts';

export interface NotificationsProps {
  readonly cluster: ClusterConfiguration;
  readonly table: StateTable;
  /** Gets the events that could not be handed to the function, and those that it gave up on. */
  readonly deadLetterQueue: IQueue;
  /** The names of the durable functions, whose executions may die. */
  readonly workflowNames: readonly string[];
}

export class Notifications extends Construct {
  /**
   * For alarms: CloudWatch may publish to it. Everything that is sent to it reaches the addresses of `notify.emails`.
   */
  readonly topic: Topic;
  readonly notify: NotifyFunction;

  constructor(scope: Construct, id: string, props: NotificationsProps) {
    super(scope, id);
    const { cluster, table, deadLetterQueue } = props;
    this.topic = makeTopic(this, cluster);
    this.notify = new NotifyFunction(this, 'Notify', { cluster, table, topic: this.topic, deadLetterQueue });

    const pass = (ruleId: string, description: string, eventPattern: EventPattern) =>
      new Rule(this, ruleId, {
        description,
        eventPattern,
        targets: [
          // News that comes hours late is still wanted.
          new LambdaFunction(this.notify.function, {
            deadLetterQueue,
            retryAttempts: 185,
            maxEventAge: Duration.hours(24),
          }),
        ],
      });
    // Without `Etcd Medic Escalation`: it repeats what these have said.
    pass('Reports', `The reports of etcd-medic's runs on cluster ${cluster.name}`, {
      source: [EVENT_SOURCE],
      detailType: [...FINISHED],
      detail: { cluster: [cluster.name] },
    });
    pass('Deaths', `Runs of etcd-medic on cluster ${cluster.name} that Lambda or somebody ended`, {
      source: ['aws.lambda'],
      detailType: [STATUS_CHANGE],
      detail: {
        status: [...DEATHS],
        // Not by `functionArn`, which has a version, an alias or neither (API_Execution: its pattern makes them
        // optional). An execution's own ARN always has the version behind the colon: that of `demo` is none of
        // `demo-recover`.
        durableExecutionArn: props.workflowNames.map((name) => ({ prefix: `${functionArn(Stack.of(this), name)}:` })),
      },
    });
  }
}

/**
 * Not encrypted with a key of its own. The AWS managed one (`alias/aws/sns`) keeps CloudWatch out, and a customer
 * managed key is a dollar a month for each cluster and one more policy that, with a mistake in it, silences the alarms
 * without a sound. What it would protect holds no secret (R15) and goes on as plain e-mail.
 */
function makeTopic(scope: Construct, cluster: ClusterConfiguration): Topic {
  const topic = new Topic(scope, 'Topic', {
    // Known by name, so that people can subscribe what else they have.
    topicName: `etcd-medic-${cluster.name}`,
    displayName: `etcd-medic ${cluster.name}`,
    enforceSSL: true,
  });
  topic.addToResourcePolicy(
    new PolicyStatement({
      sid: 'AlarmsOfThisAccount',
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  );
  for (const email of new Set(cluster.notify?.emails)) topic.addSubscription(new EmailSubscription(email));
  return topic;
}
