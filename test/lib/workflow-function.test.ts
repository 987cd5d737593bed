import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../functions/contract/command.ts';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { readEnvironment } from '../../functions/contract/environment.ts';
import { ClusterNetwork } from '../../lib/cluster-network.ts';
import { NodeCommands } from '../../lib/node-commands.ts';
import { SnapshotBucket } from '../../lib/snapshot-bucket.ts';
import { StateTable } from '../../lib/state-table.ts';
import { SwitchParameter } from '../../lib/switch-parameter.ts';
import { WorkflowFunction } from '../../lib/workflow-function.ts';
import { permissionsOf, TRACING, text } from './permissions.ts';
import { anyQueue, clusterWith, sampleKubernetes, smallStack } from './small-stack.ts';
import { sampleCluster, synth } from './synth.ts';

const { network: _, ...withoutNetwork } = sampleCluster;
const SECRET = sampleCluster.etcd.credentials.secretArn;
const OWN_CODE = `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:etcd-medic-demo-recover`;
const NETWORK_ACTIONS = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

/** A workflow's function by itself, with everything that the stack could give it. */
function workflowStack(workflow: Command['workflow'], others: Readonly<Record<string, unknown>> = {}) {
  const cluster = clusterWith({
    kubernetes: sampleKubernetes,
    nodes: { tag: { key: 'cluster', value: 'demo' } },
    ...others,
  });
  const { template, findings } = smallStack((stack) => {
    const props = {
      cluster,
      description: 'for the test',
      table: new StateTable(stack, 'State'),
      switchParameter: new SwitchParameter(stack, 'Switch', cluster),
      nodeCommands: new NodeCommands(stack, 'Nodes', { clusterName: 'demo', tag: { key: 'cluster', value: 'demo' } }),
      snapshotBucket: new SnapshotBucket(stack, 'Snapshots'),
      deadLetterQueue: anyQueue(stack),
      network: ClusterNetwork.of(stack, 'Network', cluster),
    };
    const prune = new WorkflowFunction(stack, 'Prune', { ...props, workflow: 'prune' });
    if (workflow !== 'prune') {
      new WorkflowFunction(stack, 'Workflow', { ...props, workflow, pruneFunction: prune.live });
    }
  });
  const name = `etcd-medic-demo-${workflow}`;
  const functions = template.findResources('AWS::Lambda::Function', { Properties: { FunctionName: name } });
  const [properties] = Object.values(functions).map((each) => each.Properties);
  const [pruneAlias = ''] = Object.keys(template.findResources('AWS::Lambda::Alias')).filter((id) =>
    id.startsWith('Prune'),
  );
  const variables: Record<string, unknown> = properties?.Environment.Variables;
  return { template, findings, properties, permissions: permissionsOf(template, name), pruneAlias, variables };
}

describe('WorkflowFunction', () => {
  it.each([
    ['recover', 4 + 4 + 4],
    ['maintain', 4 + 12 + 4],
    ['prune', 4 + 4],
  ] as const)(
    '%s is durable, and has %i hours for its turn to come and for what may take longest in it',
    (workflow, hours) => {
      const { properties } = workflowStack(workflow);

      expect(properties).toMatchObject({
        Timeout: 900,
        MemorySize: 512,
        DurableConfig: { ExecutionTimeout: hours * 60 * 60, RetentionPeriodInDays: 30 },
        VpcConfig: { SecurityGroupIds: [sampleCluster.network.securityGroupId] },
      });
    },
  );

  it('has time for the longest window and the longest pruning that the configuration allows', () => {
    const longest = workflowStack('maintain', { maintain: { windowMinutes: 720 }, prune: { maxMinutes: 180 } });

    expect(longest.properties?.DurableConfig.ExecutionTimeout).toBeGreaterThan(720 * 60);
    expect(workflowStack('prune').properties?.DurableConfig.ExecutionTimeout).toBeGreaterThan(180 * 60);
    expect(() => workflowStack('maintain', { maintain: { windowMinutes: 721 } })).toThrow('windowMinutes');
    expect(() => workflowStack('prune', { prune: { maxMinutes: 181 } })).toThrow('maxMinutes');
  });

  it.each(['recover', 'maintain', 'prune'] as const)('%s has what readEnvironment asks for in Lambda', (workflow) => {
    const { variables } = workflowStack(workflow);
    const texts = Object.entries(variables).map(([name, value]) => [name, text(value)]);

    const environment = readEnvironment({ ...Object.fromEntries(texts), AWS_LAMBDA_FUNCTION_NAME: 'x' });

    expect(environment).toMatchObject({ inLambda: true, bus: 'default', cluster: { name: 'demo' } });
    expect(environment.snapshotBucket === undefined).toBe(workflow === 'prune');
    expect(variables).toMatchObject({
      POWERTOOLS_SERVICE_NAME: `etcd-medic-demo-${workflow}`,
      POWERTOOLS_METRICS_NAMESPACE: 'etcd-medic',
    });
  });

  it.each(['recover', 'maintain'] as const)(
    '%s may have reports deleted by exactly the deployed prune function',
    (workflow) => {
      const { variables, permissions, pruneAlias } = workflowStack(workflow);

      expect(variables.ETCD_MEDIC_PRUNE_FUNCTION).toEqual({ Ref: pruneAlias });
      expect(permissions.filter((line) => line.includes('lambda:Invoke'))).toEqual([
        `Allow lambda:InvokeFunction on \${${pruneAlias}}`,
      ]);
    },
  );

  it('maintain may what recover may but restart kubelets', () => {
    const [recover, maintain] = (['recover', 'maintain'] as const).map((workflow) =>
      workflowStack(workflow).permissions.map((line) => line.replaceAll(workflow, 'WORKFLOW')),
    );

    expect(maintain?.filter((line) => !recover?.includes(line))).toEqual([]);
    expect(recover?.filter((line) => !maintain?.includes(line))).toEqual([
      expect.stringMatching(/^Allow ssm:SendCommand on .*document\/etcd-medic-demo-RestartKubelet$/),
    ]);
  });

  it('prune reads the API server’s secret and no other, sends nothing to nodes, writes no snapshot, starts nothing', () => {
    const { permissions, variables } = workflowStack('prune');

    const { secretArn } = sampleKubernetes.credentials;
    expect(permissions.filter((line) => line.includes('secretsmanager:'))).toEqual([
      `Allow secretsmanager:GetSecretValue on ${secretArn}`,
      `Allow secretsmanager:GetSecretValue on ${secretArn}-??????`,
    ]);
    const actions = permissions.map((line) => line.split(' ')[1]);
    const others = actions.filter((action) => /^(s3|lambda|ssm|dynamodb|events):/.test(action ?? ''));
    expect(others).toEqual([
      'dynamodb:DeleteItem',
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
      'events:PutEvents',
      'lambda:CheckpointDurableExecution',
      'lambda:GetDurableExecutionState',
      'ssm:GetParameter',
    ]);
    expect(Object.keys(variables)).not.toContain('ETCD_MEDIC_SNAPSHOT_BUCKET');
    expect(Object.keys(variables)).not.toContain('ETCD_MEDIC_PRUNE_FUNCTION');
  });

  it('logs JSON to a log group of its own that forgets after 90 days', () => {
    const { template } = workflowStack('recover');
    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    const logGroups = functions.map((fn) => text(fn.Properties.LoggingConfig));

    expect(functions).toHaveLength(2);
    expect(new Set(logGroups).size).toBe(2);
    expect(logGroups.every((config) => config.includes('LogFormat: JSON'))).toBe(true);
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 90 });
  });

  it.each(['recover', 'maintain', 'prune'] as const)('%s passes AWS Solutions', (workflow) => {
    expect(workflowStack(workflow).findings).toEqual([]);
  });
});

describe('WorkflowFunction recover', () => {
  it('is a durable function on Node 24 with time for a defragmentation in each step', () => {
    using synthesis = synth();

    synthesis.template().hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-recover',
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: 'index.handler',
      Timeout: 900,
      DurableConfig: { ExecutionTimeout: 8 * 60 * 60, RetentionPeriodInDays: 30 },
      Description: Match.stringLikeRegexp('Press Test on etcd-medic-demo-dispatch'),
    });
  });

  it('keeps every version that a run may be pinned to, and is started by the alias of the newest', () => {
    using synthesis = synth();

    const template = synthesis.template();

    const [versionId] = Object.keys(template.findResources('AWS::Lambda::Version'));
    template.hasResource('AWS::Lambda::Version', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
    template.hasResourceProperties('AWS::Lambda::Alias', {
      Name: 'live',
      FunctionVersion: { 'Fn::GetAtt': [versionId, 'Version'] },
    });
  });

  it('publishes a new version when the configuration changes, so that a running recovery keeps its own', () => {
    using before = synth();
    using after = synth([{ ...sampleCluster, recover: { watchSeconds: 60 } }]);

    const [versionBefore, versionAfter] = [before, after].map((synthesis) =>
      Object.keys(synthesis.template().findResources('AWS::Lambda::Version')),
    );

    expect(versionBefore).not.toEqual(versionAfter);
  });

  it("finds its cluster's configuration, table, bus, switch and bucket in its environment", () => {
    using synthesis = synth();

    const template = synthesis.template();
    const variables = environmentOf(template.findResources('AWS::Lambda::Function'), 'etcd-medic-demo-recover');

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    const [switchId] = Object.keys(template.findResources('AWS::SSM::Parameter'));
    const [bucketId] = Object.keys(template.findResources('AWS::S3::Bucket'));
    const { ETCD_MEDIC_CLUSTER: configuration, ...others } = variables;
    expect(parseCluster(JSON.parse(String(configuration)))).toEqual(parseCluster(sampleCluster));
    expect(others).toEqual({
      ETCD_MEDIC_TABLE: { Ref: tableId },
      ETCD_MEDIC_BUS: 'default',
      ETCD_MEDIC_SWITCH: { Ref: switchId },
      ETCD_MEDIC_SNAPSHOT_BUCKET: { Ref: bucketId },
      POWERTOOLS_SERVICE_NAME: 'etcd-medic-demo-recover',
      POWERTOOLS_METRICS_NAMESPACE: 'etcd-medic',
    });
  });

  it('stands in the configured subnets, under the configured security group', () => {
    using synthesis = synth();

    synthesis.template().hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-recover',
      VpcConfig: {
        SubnetIds: [...sampleCluster.network.subnetIds],
        SecurityGroupIds: [sampleCluster.network.securityGroupId],
      },
    });
  });

  it('stands in no VPC and asks for no network interface where no network is configured', () => {
    using synthesis = synth([withoutNetwork]);

    const template = synthesis.template();

    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-recover',
      VpcConfig: Match.absent(),
    });
    expect(permissionsOf(template, 'etcd-medic-demo-recover').join()).not.toContain('ec2:');
  });

  it('may do exactly this', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const permissions = permissionsOf(template, 'etcd-medic-demo-recover');

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    const [queueId] = Object.keys(template.findResources('AWS::SQS::Queue'));
    const [switchId] = Object.keys(template.findResources('AWS::SSM::Parameter'));
    const [bucketId] = Object.keys(template.findResources('AWS::S3::Bucket'));
    const logsId = Object.keys(template.findResources('AWS::Logs::LogGroup')).find((id) => id.startsWith('Recover'));
    const onItsItems = `on \${${tableId}.Arn} if { ForAllValues:StringEquals: { dynamodb:LeadingKeys: [demo] } }`;
    expect(permissions).toEqual(
      [
        `Allow logs:CreateLogStream on \${${logsId}.Arn}`,
        `Allow logs:PutLogEvents on \${${logsId}.Arn}`,
        `Allow lambda:CheckpointDurableExecution on ${OWN_CODE}:*`,
        `Allow lambda:GetDurableExecutionState on ${OWN_CODE}:*`,
        `Allow dynamodb:DeleteItem ${onItsItems}`,
        `Allow dynamodb:GetItem ${onItsItems}`,
        `Allow dynamodb:PutItem ${onItsItems}`,
        `Allow dynamodb:Query ${onItsItems}`,
        `Allow dynamodb:UpdateItem ${onItsItems}`,
        `Allow events:PutEvents on arn:\${AWS::Partition}:events:\${AWS::Region}:\${AWS::AccountId}:event-bus/default if ` +
          '{ StringEquals: { events:source: etcd-medic } }',
        `Allow ssm:GetParameter on arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter\${${switchId}}`,
        `Allow s3:AbortMultipartUpload on \${${bucketId}.Arn}/demo/*`,
        `Allow s3:ListBucketMultipartUploads on \${${bucketId}.Arn}`,
        `Allow s3:PutObject on \${${bucketId}.Arn}/demo/*`,
        `Allow secretsmanager:GetSecretValue on ${SECRET}`,
        `Allow secretsmanager:GetSecretValue on ${SECRET}-??????`,
        `Allow sqs:SendMessage on \${${queueId}.Arn}`,
        ...TRACING,
        // Lambda needs these for the VPC; the function's own code is denied them.
        ...NETWORK_ACTIONS.map((action) => `Allow ${action} on *`),
        ...NETWORK_ACTIONS.map(
          (action) => `Deny ${action} on * if { ArnLike: { lambda:SourceFunctionArn: [${OWN_CODE}, ${OWN_CODE}:*] } }`,
        ),
      ].sort(),
    );
  });

  it('may besides, where there are nodes, do exactly this on them', () => {
    using without = synth();
    using synthesis = synth([{ ...sampleCluster, nodes: { tag: { key: 'cluster', value: 'demo' } } }]);

    const [before, after] = [without, synthesis].map((each) =>
      permissionsOf(each.template(), 'etcd-medic-demo-recover'),
    );

    const here = `\${AWS::Region}:\${AWS::AccountId}`;
    const documents = `arn:\${AWS::Partition}:ssm:${here}:document/etcd-medic-demo-`;
    const instances = `arn:\${AWS::Partition}:ec2:${here}:instance/*`;
    expect(after?.filter((line) => !before?.includes(line))).toEqual([
      'Allow ssm:DescribeInstanceInformation on *',
      'Allow ssm:GetCommandInvocation on *',
      'Allow ssm:ListCommandInvocations on *',
      'Allow ssm:ListCommands on *',
      `Allow ssm:SendCommand on ${instances} if { StringEquals: { ssm:resourceTag/cluster: demo } }`,
      `Allow ssm:SendCommand on ${documents}InspectNode`,
      `Allow ssm:SendCommand on ${documents}RestartKubelet`,
    ]);
    expect(before?.filter((line) => !after?.includes(line))).toEqual([]);
  });

  it('R13: writes snapshots to the bucket that the configuration names, below its own name, and the stack makes none', () => {
    using synthesis = synth([{ ...sampleCluster, snapshot: { bucket: 'my-snapshots' } }]);

    const template = synthesis.template();

    const bucketArn = `arn:\${AWS::Partition}:s3:::my-snapshots`;
    expect(template.findResources('AWS::S3::Bucket')).toEqual({});
    expect(permissionsOf(template, 'etcd-medic-demo-recover').filter((line) => line.includes('s3:'))).toEqual([
      `Allow s3:AbortMultipartUpload on ${bucketArn}/demo/*`,
      `Allow s3:ListBucketMultipartUploads on ${bucketArn}`,
      `Allow s3:PutObject on ${bucketArn}/demo/*`,
    ]);
  });

  it('R13: may write nothing, and has no bucket, where snapshots are switched off', () => {
    using synthesis = synth([{ ...sampleCluster, snapshot: false }]);

    const template = synthesis.template();

    expect(template.findResources('AWS::S3::Bucket')).toEqual({});
    expect(permissionsOf(template, 'etcd-medic-demo-recover').join()).not.toContain('s3:');
    const variables = environmentOf(template.findResources('AWS::Lambda::Function'), 'etcd-medic-demo-recover');
    expect(variables).not.toHaveProperty('ETCD_MEDIC_SNAPSHOT_BUCKET');
  });

  it.each([
    ['the bucket of the stack', undefined],
    ['a bucket of its user', { bucket: 'my-snapshots' }],
    ['no snapshots', false],
  ])('has what readEnvironment asks for in Lambda: %s', (_, snapshot) => {
    using synthesis = synth([{ ...sampleCluster, snapshot }]);

    const variables = environmentOf(
      synthesis.template().findResources('AWS::Lambda::Function'),
      'etcd-medic-demo-recover',
    );
    const environment = readEnvironment({
      ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, text(value)])),
      AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-recover',
    });

    expect(environment).toMatchObject({ inLambda: true, bus: 'default' });
    expect(environment.snapshotBucket === undefined).toBe(snapshot === false);
  });

  it('may read no secret where etcd is plain http', () => {
    using synthesis = synth([{ name: 'lab', etcd: { endpoints: ['http://10.0.0.11:2379'] } }]);

    const permissions = permissionsOf(synthesis.template(), 'etcd-medic-lab-recover');

    expect(permissions.join()).not.toContain('secretsmanager');
    expect(permissions.filter((line) => / on \*( |$)/.test(line))).toEqual(TRACING);
  });
});

function environmentOf(
  functions: Readonly<Record<string, Record<string, { FunctionName?: string; Environment?: { Variables: object } }>>>,
  name: string,
): Record<string, unknown> {
  const found = Object.values(functions).find((fn) => fn.Properties?.FunctionName === name);
  return { ...found?.Properties?.Environment?.Variables };
}
