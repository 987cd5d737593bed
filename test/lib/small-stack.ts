// A stack of a test's own, for a construct by itself: its template, and what AWS Solutions finds fault with in it.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { type IQueue, Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { onTestFinished } from 'vitest';
import { type ClusterConfiguration, parseCluster } from '../../functions/contract/configuration.ts';
import { cdkContext, sampleCluster } from './synth.ts';

export interface SmallStack<Built> {
  readonly built: Built;
  readonly template: Template;
  /** Rule and place. */
  readonly findings: readonly string[];
}

/** An app of one test, whose folder goes with it. */
export function appOfTest(): App {
  const outdir = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-synth-'));
  onTestFinished(() => rmSync(outdir, { recursive: true, force: true }));
  return new App({ outdir, analyticsReporting: false });
}

/** @param build puts the construct into the stack; no function's code is packed */
export function smallStack<Built>(build: (stack: Stack) => Built): SmallStack<Built> {
  const outdir = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-synth-'));
  try {
    const app = new App({ outdir, context: { ...cdkContext, 'aws:cdk:bundling-stacks': [] } });
    const stack = new Stack(app, 'small');
    const built = build(stack);
    const findings = new AwsSolutionsChecks(app)
      .validateScope(app)
      .violations.flatMap(({ ruleName, violatingResources }) =>
        violatingResources.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
      );
    return { built, findings, template: Template.fromStack(stack) };
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** Stands for the stack's, which is looked at by its own test. */
export function anyQueue(stack: Stack): IQueue {
  return Queue.fromQueueArn(stack, 'Queue', 'arn:aws:sqs:eu-central-1:111122223333:dead-letters');
}

/** The tests' cluster with its defaults filled in, and whatever else is to be configured. */
export function clusterWith(others: Readonly<Record<string, unknown>> = {}): ClusterConfiguration {
  return parseCluster({ ...sampleCluster, ...others });
}

/** An API server to prune, as it would be configured. */
export const sampleKubernetes = {
  server: 'https://10.0.0.10:6443',
  credentials: { secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:etcd-medic/demo/api-x1Y2z3' },
} as const;
