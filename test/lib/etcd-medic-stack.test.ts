import type { Template } from 'aws-cdk-lib/assertions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { describe, expect, it } from 'vitest';
import { sampleKubernetes } from './small-stack.ts';
import { cdkContext, fullCluster, sampleCluster, synth } from './synth.ts';
import { identitiesIn, nameOf } from './upgrade/identity.ts';

const { network: _, ...withoutNetwork } = sampleCluster;
const nodes = { tag: { key: 'kubernetes.io/cluster/demo', value: 'owned' } };

describe('EtcdMedicStack', () => {
  it.each([
    ['with a network', [sampleCluster]],
    ['as in cdk.json', cdkContext.clusters],
    ['without a network', [withoutNetwork]],
    ['over plain http', [{ name: 'lab', etcd: { endpoints: ['http://10.0.0.11:2379'] } }]],
    ['with alarms of its user', [{ ...sampleCluster, alarms: [{ name: 'etcd is full', workflow: 'recover' }] }]],
    ['with nodes', [{ ...sampleCluster, nodes }]],
    ['with nodes, without a network', [{ ...withoutNetwork, nodes }]],
    ['without snapshots', [{ ...sampleCluster, snapshot: false }]],
    ["with snapshots in its user's bucket", [{ ...sampleCluster, snapshot: { bucket: 'my-snapshots' } }]],
    ['with an API server to prune', [{ ...sampleCluster, nodes, kubernetes: sampleKubernetes }]],
    ['with people to tell', [{ ...sampleCluster, notify: { emails: ['night@example.com'] } }]],
    ['without schedules', [{ ...sampleCluster, maintain: { schedule: false } }]],
    ['two clusters', [sampleCluster, { ...sampleCluster, name: 'other' }]],
  ])('has no finding of AWS Solutions and no warning of the CDK: %s', (_, clusters) => {
    using synthesis = synth(clusters);

    expect(synthesis.solutionsFindings()).toEqual([]);
    expect(synthesis.annotations()).toEqual([]);
  });

  it('says what a configuration has by an old name, at the stack that it is about', () => {
    const old = { ...sampleCluster, name: 'other', maintain: { stallSeconds: 60 } };
    using synthesis = synth([sampleCluster, old]);

    expect(synthesis.annotations()).toEqual([
      expect.stringMatching(
        /^info at \/etcd-medic-other: maintain\.stallSeconds is called maintain\.maxStallSeconds now/,
      ),
    ]);
  });

  it('would have findings for an open bucket: the checks are on, and no reason given for one thing hides another', () => {
    using synthesis = synth([sampleCluster], (stacks) => {
      for (const stack of stacks) new Bucket(stack, 'Open');
    });

    expect(synthesis.solutionsFindings()).toContain('AwsSolutions-S10 at etcd-medic-demo/Open/Resource');
    expect(() => synthesis.template()).toThrow(/validation/i);
  });

  it('gives two clusters stacks that share no name and know nothing of each other', () => {
    const cluster = { ...sampleCluster, nodes, kubernetes: sampleKubernetes };
    using synthesis = synth([cluster, { ...cluster, name: 'other' }]);

    const [demo, other] = ['etcd-medic-demo', 'etcd-medic-other'].map((name) => synthesis.template(name));

    expect(names(demo)).toEqual([
      '/etcd-medic/demo/mode',
      'etcd-medic-demo',
      'etcd-medic-demo',
      'etcd-medic-demo-InspectNode',
      'etcd-medic-demo-RestartKubelet',
      'etcd-medic-demo-corrupt',
      'etcd-medic-demo-dead-letters',
      'etcd-medic-demo-dispatch',
      'etcd-medic-demo-dry-maintain',
      'etcd-medic-demo-dry-prune',
      'etcd-medic-demo-dry-recover',
      'etcd-medic-demo-maintain',
      'etcd-medic-demo-maintain',
      'etcd-medic-demo-member-away',
      'etcd-medic-demo-nospace',
      'etcd-medic-demo-nospace-persists',
      'etcd-medic-demo-notify',
      'etcd-medic-demo-probe',
      'etcd-medic-demo-probe-silent',
      'etcd-medic-demo-prune',
      'etcd-medic-demo-prune',
      'etcd-medic-demo-quota-usage',
      'etcd-medic-demo-recover',
      'etcd-medic-demo-run-failed',
      'etcd-medic-demo-soon-full',
      'etcd-medic-demo-widget',
    ]);
    expect(names(other)).toEqual(names(demo).map((name) => name.replace('demo', 'other')));
    expect(JSON.stringify(other)).not.toContain('etcd-medic-demo');
    expect(synthesis.stacks.flatMap((stack) => stack.dependencies)).toEqual([]);
  });

  it('leaves nothing behind of a first deployment that fails, so that none of it is in the way of a second', () => {
    using synthesis = synth([
      { ...fullCluster, etcd: { credentials: { issued: true } }, console: { registry: 'create' } },
    ]);

    const resources = Object.values(identitiesIn(synthesis.template().toJSON()));

    const lasting = resources.filter(({ DeletionPolicy }) => DeletionPolicy?.startsWith('Retain'));
    // Versions go with their function, which is not kept.
    const left = lasting.filter(
      ({ Type, DeletionPolicy }) => Type !== 'AWS::Lambda::Version' && DeletionPolicy === 'Retain',
    );
    expect(left).toEqual([]);
    expect([...new Set(lasting.map(({ Type }) => Type))].sort()).toEqual([
      'AWS::DynamoDB::Table',
      'AWS::EventSchemas::Registry',
      'AWS::Lambda::Version',
      'AWS::S3::Bucket',
      'AWS::SecretsManager::Secret',
    ]);
    // What is kept when the stack goes has a name of CloudFormation's making, but for the registry, which AWS's console
    // has named.
    expect(lasting.map(nameOf).filter((name) => name !== undefined)).toEqual(['lambda-testevent-schemas']);
  });

  it.each([
    ['the stack’s', undefined],
    ['its user’s', { bucket: 'my-snapshots' }],
  ])('tells the names that a person needs, with %s bucket', (_, snapshot) => {
    using synthesis = synth([{ ...sampleCluster, snapshot }]);

    const outputs = synthesis.template().findOutputs('*');

    expect(Object.keys(outputs).sort()).toEqual([
      'DashboardName',
      'DeadLetterQueueUrl',
      'DispatchFunctionName',
      'MaintainFunctionName',
      'ProbeFunctionName',
      'RecoverFunctionName',
      'SnapshotBucketName',
      'StateTableName',
      'SwitchParameterName',
      'TopicArn',
    ]);
  });
});

/** Every name that is fixed in the template, so that it could be taken already. */
function names(template: Template | undefined): string[] {
  const resources: Record<string, { Properties?: Record<string, unknown> }> = template?.toJSON().Resources ?? {};
  return (
    Object.values(resources)
      .flatMap(({ Properties = {} }) => Object.entries(Properties))
      .filter(([key]) => /^(Alarm|Bucket|Dashboard|Function|LogGroup|Queue|Role|Rule|Table|Topic)?Name$/.test(key))
      .flatMap(([, value]) => (typeof value === 'string' ? [value] : []))
      // An alias's name counts within its function.
      .filter((value) => value !== 'live')
      .sort()
  );
}
