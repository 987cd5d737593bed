import { Match } from 'aws-cdk-lib/assertions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { describe, expect, it } from 'vitest';
import { KUBEADM_AUTHORITIES, type Purpose, ROTATION_DAYS } from '../../functions/contract/purposes.ts';
import { readEnvironment } from '../../functions/credentials/environment.ts';
import { ClusterNetwork } from '../../lib/cluster-network.ts';
import { CredentialsFunction } from '../../lib/credentials-function.ts';
import { signClientCertificateDocument } from '../../lib/documents/sign-client-certificate.ts';
import { permissionsOf, TRACING, text } from './permissions.ts';
import { clusterWith, sampleKubernetes, smallStack } from './small-stack.ts';
import { sampleCluster } from './synth.ts';

const NAME = 'etcd-medic-demo-credentials';
const nodes = { tag: { key: 'cluster', value: 'demo' } };
const configured = { nodes, kubernetes: sampleKubernetes };
const BOTH: readonly Purpose[] = ['etcd', 'kubernetes'];

const build = (issue = BOTH, others: Readonly<Record<string, unknown>> = configured) =>
  smallStack((stack) => {
    const cluster = clusterWith(others);
    const network = ClusterNetwork.of(stack, 'Network', cluster);
    return new CredentialsFunction(stack, 'Credentials', { cluster, issue, network });
  });

describe('CredentialsFunction', () => {
  it('makes an empty secret for each certificate, which outlives the stack, but not a deployment that fails to make it', () => {
    const { template } = build();

    const secrets = Object.values(template.findResources('AWS::SecretsManager::Secret'));
    expect(secrets).toHaveLength(2);
    for (const { Properties, DeletionPolicy, UpdateReplacePolicy } of secrets) {
      // No value: CloudFormation has nothing to write over what was issued. No name: another stack may come after this
      // one.
      expect(Object.keys(Properties)).toEqual(['Description']);
      expect([DeletionPolicy, UpdateReplacePolicy]).toEqual(['RetainExceptOnCreate', 'Retain']);
    }
  });

  it('has each rotated by the function, for the first time at once, when all is there that it needs', () => {
    const { template } = build();

    const [functionId] = Object.keys(template.findResources('AWS::Lambda::Function'));
    const secretIds = Object.keys(template.findResources('AWS::SecretsManager::Secret'));
    const schedules = Object.values(template.findResources('AWS::SecretsManager::RotationSchedule'));
    const permissions = template.findResources('AWS::Lambda::Permission');
    const [documentId] = Object.keys(template.findResources('AWS::SSM::Document'));
    const policyId = Object.keys(template.findResources('AWS::IAM::Policy')).find((id) => id.includes('Signing'));
    expect(schedules.map(({ Properties }) => Properties.SecretId.Ref).sort()).toEqual(secretIds.sort());
    for (const { Properties, DependsOn } of schedules) {
      expect(Properties).toMatchObject({
        RotationLambdaARN: { 'Fn::GetAtt': [functionId, 'Arn'] },
        RotationRules: { AutomaticallyAfterDays: ROTATION_DAYS },
        RotateImmediatelyOnUpdate: true,
      });
      const [permissionId = ''] = Object.keys(permissions).filter((id) => DependsOn.includes(id));
      expect(permissions[permissionId]?.Properties).toMatchObject({
        Principal: 'secretsmanager.amazonaws.com',
        SourceAccount: { Ref: 'AWS::AccountId' },
        SourceArn: Properties.SecretId,
      });
      expect(DependsOn).toEqual(expect.arrayContaining([documentId, policyId]));
    }
  });

  it('has the first rotation wait for the way to etcd, to the API server and to AWS, where the functions are in a VPC', () => {
    const { vpcId, subnetIds } = sampleCluster.network;
    const ways = { endpoints: true, routeTableIds: ['rtb-0a1b2c3d4e5f60718'] };
    const network = { vpcId, subnetIds, controlPlane: ['sg-0a1b2c3d4e5f60718'], ...ways };

    const { template } = build(BOTH, { ...configured, network });

    const types = ['AWS::EC2::SecurityGroup', 'AWS::EC2::SecurityGroupIngress', 'AWS::EC2::VPCEndpoint'];
    const way = types.flatMap((type) => Object.keys(template.findResources(type)));
    const schedules = Object.values(template.findResources('AWS::SecretsManager::RotationSchedule'));
    expect(way.length).toBeGreaterThanOrEqual(3 + 2 + 6);
    expect(schedules).toHaveLength(2);
    for (const { DependsOn } of schedules) expect(DependsOn).toEqual(expect.arrayContaining(way));
  });

  it('may write these two secrets, send this one document to the cluster’s nodes, and nothing else', () => {
    const { network: _, ...withoutNetwork } = clusterWith(configured);

    const { template } = smallStack(
      (stack) => new CredentialsFunction(stack, 'Credentials', { cluster: withoutNetwork, issue: BOTH }),
    );

    const ids = Object.keys(template.findResources('AWS::SecretsManager::Secret'));
    const [logsId] = Object.keys(template.findResources('AWS::Logs::LogGroup'));
    const inAccount = (service: string) => `arn:\${AWS::Partition}:${service}:\${AWS::Region}:\${AWS::AccountId}`;
    const actions = ['DescribeSecret', 'GetSecretValue', 'PutSecretValue', 'UpdateSecretVersionStage'];
    const reads = ['DescribeInstanceInformation', 'GetCommandInvocation', 'ListCommandInvocations', 'ListCommands'];
    expect(permissionsOf(template, NAME)).toEqual(
      [
        ...['CreateLogStream', 'PutLogEvents'].map((action) => `Allow logs:${action} on \${${logsId}.Arn}`),
        ...ids.flatMap((id) => actions.map((action) => `Allow secretsmanager:${action} on \${${id}}`)),
        ...reads.map((action) => `Allow ssm:${action} on *`),
        `Allow ssm:SendCommand on ${inAccount('ssm')}:document/etcd-medic-demo-SignClientCertificate`,
        `Allow ssm:SendCommand on ${inAccount('ec2')}:instance/* if { StringEquals: { ssm:resourceTag/cluster: demo } }`,
        ...TRACING,
      ].sort(),
    );
  });

  it('is in the VPC, from where etcd and the API server are reached', () => {
    const { template } = build();

    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: NAME,
      Runtime: 'nodejs24.x',
      VpcConfig: { SubnetIds: Match.anyValue(), SecurityGroupIds: Match.anyValue() },
      DeadLetterConfig: Match.absent(),
      DurableConfig: Match.absent(),
      LoggingConfig: { LogFormat: 'JSON' },
    });
  });

  it('deploys the document as it is', () => {
    const { template } = build();

    template.hasResourceProperties('AWS::SSM::Document', {
      Name: 'etcd-medic-demo-SignClientCertificate',
      DocumentType: 'Command',
      UpdateMethod: 'NewVersion',
      TargetType: '/AWS::EC2::Instance',
      Content: JSON.parse(JSON.stringify(signClientCertificateDocument())),
    });
  });

  it.each([
    ['both', BOTH],
    ['etcd’s alone', ['etcd'] as const],
    ['the API server’s alone', ['kubernetes'] as const],
  ])(
    'has what its code asks for in Lambda where it issues %s, and gives the others the same secrets',
    (_what, issue) => {
      const { template, built } = build(issue);

      const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));
      // As CloudFormation fills in a secret's ARN.
      const filledIn = (value: unknown) =>
        text(value).replace(/\$\{(\w+)\}/g, 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:$1-Ab12Cd');
      const environment = readEnvironment(
        Object.fromEntries(
          Object.entries(fn?.Properties.Environment.Variables).map(([name, value]) => [name, filledIn(value)]),
        ),
      );
      expect(environment.issuances.map(({ purpose, authority }) => [purpose, authority])).toEqual(
        issue.map((purpose) => [purpose, KUBEADM_AUTHORITIES[purpose]]),
      );
      for (const { purpose, secretArn } of environment.issuances) {
        expect(secretArn).toContain(`secret:CredentialsSecret${purpose}`);
        expect(built.cluster[purpose]?.credentials).toEqual({ secretArn: expect.stringContaining('Token') });
      }
      expect(built.cluster.name).toBe('demo');
    },
  );

  it('takes the authorities from where they are told to be', () => {
    const rke2 = '/var/lib/rancher/rke2/server/tls';
    const authority = {
      caFile: `${rke2}/client-ca.crt`,
      caKeyFile: `${rke2}/client-ca.key`,
      serverCaFile: `${rke2}/server-ca.crt`,
    };

    const { template } = smallStack(
      (stack) =>
        new CredentialsFunction(stack, 'Credentials', {
          cluster: clusterWith(configured),
          issue: ['kubernetes'],
          authorities: { kubernetes: authority },
        }),
    );

    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: { ETCD_MEDIC_ISSUED: Match.serializedJson({ kubernetes: authority }) } },
    });
  });

  it('warns by an alarm where a certificate could not be renewed', () => {
    const { template } = smallStack((stack) => {
      const topic = new Topic(stack, 'Topic', { enforceSSL: true });
      new CredentialsFunction(stack, 'Credentials', { cluster: clusterWith(configured), issue: BOTH }).tell(topic);
    });

    const [functionId] = Object.keys(template.findResources('AWS::Lambda::Function'));
    const [topicId] = Object.keys(template.findResources('AWS::SNS::Topic'));
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'etcd-medic-demo-credentials-failed',
      Namespace: 'AWS/Lambda',
      MetricName: 'Errors',
      Dimensions: [{ Name: 'FunctionName', Value: { Ref: functionId } }],
      Threshold: 1,
      TreatMissingData: 'notBreaching',
      AlarmActions: [{ Ref: topicId }],
      // Whether there was one before, the alarm can't know.
      AlarmDescription: Match.stringLikeRegexp('One that was there before is current still.*where there was none'),
    });
  });

  it.each([
    ['in the VPC', configured],
    ['outside of it', { ...configured, network: undefined }],
  ])('has no finding of AWS Solutions: %s', (_where, others) => {
    expect(build(BOTH, others).findings).toEqual([]);
  });

  it.each<[string, readonly Purpose[], Readonly<Record<string, unknown>>]>([
    ['nothing to issue', [], configured],
    ['no nodes', ['etcd'], {}],
    ['no API server', ['kubernetes'], { nodes }],
  ])('is not made with %s', (_what, issue, others) => {
    expect(() => build(issue, others)).toThrow(RangeError);
  });

  it('has a description that fits into the 256 characters of Lambda, for the longest name too', () => {
    const { template } = build(['kubernetes'], { ...configured, name: 'a'.repeat(39) });

    const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));
    expect(fn?.Properties.Description.length).toBeLessThanOrEqual(256);
    expect(fn?.Properties.FunctionName.length).toBeLessThanOrEqual(64);
  });
});
