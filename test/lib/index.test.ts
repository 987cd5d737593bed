import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Subscription, SubscriptionProtocol } from 'aws-cdk-lib/aws-sns';
import { afterEach, describe, expect, it } from 'vitest';
import {
  ClusterNetwork,
  EtcdMedicStack,
  ProbeFunction,
  parseCluster,
  parseClusters,
  StateTable,
} from '../../lib/index.ts';
import { fullCluster, sampleCluster } from './synth.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An app without this project's cdk.json: none of its feature flags, none of its checks. */
function ownApp(): App {
  const outdir = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-own-app-'));
  folders.push(outdir);
  return new App({ outdir, context: { 'aws:cdk:bundling-stacks': [] } });
}

describe('an app of somebody’s own', () => {
  it('has a stack for a cluster among its others, in an account of its choice, and builds on what it has', () => {
    const app = ownApp();
    const cluster = parseCluster(fullCluster);
    const medic = new EtcdMedicStack(app, 'Medic', {
      cluster,
      env: { account: '111122223333', region: 'eu-central-1' },
    });
    const others = new Stack(app, 'Others', { env: { account: '111122223333', region: 'eu-central-1' } });
    const pager = { protocol: SubscriptionProtocol.HTTPS, endpoint: 'https://pager.example.com/etcd' };
    new Subscription(others, 'Pager', { topic: medic.topic, ...pager });

    const assembly = app.synth();

    const template = Template.fromJSON(assembly.getStackByName('Medic').template);
    template.hasResourceProperties('AWS::Lambda::Function', { FunctionName: 'etcd-medic-demo-recover' });
    expect(assembly.getStackByName('Medic').environment.region).toBe('eu-central-1');
    expect(medic.alarms.length).toBeGreaterThan(5);
    Template.fromJSON(assembly.getStackByName('Others').template).hasResourceProperties('AWS::SNS::Subscription', {
      TopicArn: { 'Fn::ImportValue': Match.stringLikeRegexp('^Medic:') },
    });
  });

  it('takes single constructs into a stack of its own', () => {
    const app = ownApp();
    const [cluster] = parseClusters([sampleCluster]);
    if (cluster === undefined) throw new Error('no cluster');
    const stack = new Stack(app, 'Mine');
    const network = ClusterNetwork.of(stack, 'Network', cluster);
    new ProbeFunction(stack, 'Probe', { cluster, table: new StateTable(stack, 'State'), network });

    const template = Template.fromStack(stack);

    template.resourceCountIs('AWS::Lambda::Function', 1);
    template.hasResourceProperties('AWS::Lambda::Function', { FunctionName: 'etcd-medic-demo-probe' });
  });
});
