import { Annotations, CfnWaitConditionHandle } from 'aws-cdk-lib';
import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { ClusterNetwork, type Reached } from '../../lib/cluster-network.ts';
import { NO_GATEWAY_ENDPOINTS } from '../../lib/service-endpoints.ts';
import { text } from './permissions.ts';
import { clusterWith, sampleKubernetes, smallStack } from './small-stack.ts';
import { sampleCluster, synth } from './synth.ts';

const { vpcId, subnetIds } = sampleCluster.network;
const NODES = 'sg-0a1b2c3d4e5f60720';
const BALANCER = 'sg-0a1b2c3d4e5f60721';

function networkStack(network: object, others: object = {}) {
  const cluster = clusterWith({ network: { vpcId, subnetIds, ...network }, kubernetes: sampleKubernetes, ...others });
  const { template, findings, built } = smallStack((stack) => {
    // CloudFormation takes no empty template.
    new CfnWaitConditionHandle(stack, 'Something');
    const made = ClusterNetwork.of(stack, 'Network', cluster);
    if (made === undefined) throw new Error('no network');
    const settings = (...reached: Reached[]) => {
      const { props, environment } = made.functionNetwork(...reached);
      const groups = props.securityGroups?.map((group) => text(stack.resolve(group.securityGroupId)));
      return { props, groups, environment: stack.resolve(environment) };
    };
    return { etcd: settings('etcd'), kubernetes: settings('kubernetes'), both: settings('etcd', 'kubernetes') };
  });
  return { template, findings, ...built };
}

/** Every rule of every group, as `etcd out 2379 to sg-1`. */
function rules(template: Template): string[] {
  const inline = Object.entries(template.findResources('AWS::EC2::SecurityGroup')).flatMap(([id, { Properties }]) =>
    (Properties.SecurityGroupEgress ?? []).map((rule: Rule) => `${nameOf(id)} out ${portsOf(rule)} to ${peerOf(rule)}`),
  );
  const apart = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress')).map(
    ({ Properties }) =>
      `${nameOf(text(Properties.GroupId))} in ${portsOf(Properties)} from ${nameOf(text(Properties.SourceSecurityGroupId))}`,
  );
  expect(template.findResources('AWS::EC2::SecurityGroupEgress')).toEqual({});
  return [...inline, ...apart].sort();
}

interface Rule {
  readonly IpProtocol: string;
  readonly FromPort: number;
  readonly ToPort: number;
  readonly CidrIp?: string;
  readonly CidrIpv6?: string;
  readonly DestinationSecurityGroupId?: string;
}

function portsOf({ IpProtocol, FromPort, ToPort }: Rule): string {
  return IpProtocol === 'tcp' && FromPort === ToPort ? String(FromPort) : `${IpProtocol} ${FromPort}-${ToPort}`;
}

function peerOf({ CidrIp, CidrIpv6, DestinationSecurityGroupId }: Rule): string {
  return CidrIp ?? CidrIpv6 ?? String(DestinationSecurityGroupId);
}

/** The stack's own groups by what they are for. */
function nameOf(id: string): string {
  return /(Etcd|ApiServer|Endpoints)SecurityGroup/.exec(id)?.[1]?.toLowerCase() ?? id;
}

describe('ClusterNetwork', () => {
  it('lets functions ask DNS servers of the user’s own, by UDP and TCP', () => {
    const { template, findings } = networkStack({
      controlPlane: ['10.0.8.0/24'],
      dnsServers: ['10.0.0.53', '10.1.0.0/28', 'fd00:1::53'],
    });

    expect(rules(template).filter((rule) => rule.startsWith('etcd'))).toEqual([
      'etcd out 2379 to 10.0.8.0/24',
      'etcd out 443 to 0.0.0.0/0',
      'etcd out 53 to 10.0.0.53/32',
      'etcd out 53 to 10.1.0.0/28',
      'etcd out 53 to fd00:1::53/128',
      'etcd out udp 53-53 to 10.0.0.53/32',
      'etcd out udp 53-53 to 10.1.0.0/28',
      'etcd out udp 53-53 to fd00:1::53/128',
    ]);
    expect(findings).toEqual([]);
  });

  it('lets functions out to exactly etcd’s port and the API server’s at the control plane, and to AWS’s services', () => {
    const { template, findings } = networkStack({ controlPlane: [NODES, '10.0.8.0/24', 'fd00:1::/64'] });

    expect(rules(template)).toEqual([
      'apiserver out 443 to 0.0.0.0/0',
      'apiserver out 6443 to 10.0.8.0/24',
      'apiserver out 6443 to fd00:1::/64',
      `apiserver out 6443 to ${NODES}`,
      'etcd out 2379 to 10.0.8.0/24',
      'etcd out 2379 to fd00:1::/64',
      `etcd out 2379 to ${NODES}`,
      'etcd out 443 to 0.0.0.0/0',
      `${NODES} in 2379 from etcd`,
      `${NODES} in 6443 from apiserver`,
    ]);
    expect(findings).toEqual([]);
  });

  it('gives a function the groups of what it reaches, and of nothing else', () => {
    const { etcd, kubernetes, both } = networkStack({ controlPlane: [NODES] });

    expect(etcd.groups).toEqual([expect.stringMatching(/^\$\{NetworkEtcdSecurityGroup\w+\.GroupId\}$/)]);
    expect(kubernetes.groups).toEqual([expect.stringMatching(/^\$\{NetworkApiServerSecurityGroup\w+\.GroupId\}$/)]);
    expect(both.groups).toEqual([...(etcd.groups ?? []), ...(kubernetes.groups ?? [])]);
  });

  it('opens the API server’s port at its load balancer alone, where there is one', () => {
    const { template } = networkStack(
      { controlPlane: [NODES], apiServer: [BALANCER] },
      { kubernetes: { ...sampleKubernetes, server: 'https://api.example.com' } },
    );

    const toPeers = rules(template).filter((rule) => rule.includes('sg-'));
    expect(toPeers).toEqual([
      `apiserver out 443 to ${BALANCER}`,
      `etcd out 2379 to ${NODES}`,
      `${NODES} in 2379 from etcd`,
      `${BALANCER} in 443 from apiserver`,
    ]);
  });

  it.each([
    [
      'the ports of the endpoints, each once',
      { endpoints: ['http://a:4001', 'http://b:4001', 'http://c:4002'] },
      [4001, 4002],
    ],
    [
      'a port that is its scheme’s own, which a parsed URL does not have any more',
      { endpoints: ['http://a:80'] },
      [80],
    ],
    ['the client port, where members are found by their nodes', { clientPort: 12379 }, [12379]],
    ['the preset’s client port, where nothing is said', {}, [2379]],
  ])('opens %s', (_, etcd, ports) => {
    const { template } = networkStack(
      { controlPlane: [NODES] },
      {
        etcd: { credentials: sampleCluster.etcd.credentials, ...etcd },
        nodes: { tag: { key: 'cluster', value: 'demo' } },
        kubernetes: undefined,
      },
    );

    const opened = rules(template).filter((rule) => rule.startsWith(NODES));
    expect(opened).toEqual(ports.map((port) => `${NODES} in ${port} from etcd`));
  });

  it('makes and opens nothing where the user has a group', () => {
    const { template, etcd, both } = networkStack({ securityGroupId: NODES });

    expect(Object.keys(template.toJSON().Resources)).toEqual(['Something']);
    expect(etcd.groups).toEqual([NODES]);
    expect(both.groups).toEqual([NODES]);
  });

  it('makes interface endpoints that only the functions may use and are told of, so that nothing else in the VPC notices', () => {
    const { template, etcd, findings } = networkStack({
      controlPlane: [NODES],
      endpoints: true,
      routeTableIds: [],
    });

    const endpoints = Object.values(template.findResources('AWS::EC2::VPCEndpoint')).map(
      ({ Properties }) => Properties,
    );
    expect(endpoints.map(({ ServiceName }) => text(ServiceName))).toEqual(
      ['lambda', 'events', 'secretsmanager', 'ssm'].map((service) => `com.amazonaws.\${AWS::Region}.${service}`),
    );
    expect(endpoints.every((each) => each.VpcEndpointType === 'Interface' && !each.PrivateDnsEnabled)).toBe(true);
    expect(endpoints.map(({ SubnetIds }) => SubnetIds)).toEqual(endpoints.map(() => [...subnetIds]));
    expect(rules(template).filter((rule) => rule.startsWith('endpoints'))).toEqual([
      'endpoints in 443 from apiserver',
      'endpoints in 443 from etcd',
      // The CDK's way to write "nothing".
      'endpoints out icmp 252-86 to 255.255.255.255/32',
    ]);
    expect(Object.keys(etcd.environment).sort()).toEqual([
      'AWS_ENDPOINT_URL_EVENTBRIDGE',
      'AWS_ENDPOINT_URL_LAMBDA',
      'AWS_ENDPOINT_URL_SECRETS_MANAGER',
      'AWS_ENDPOINT_URL_SSM',
    ]);
    expect(JSON.stringify(etcd.environment.AWS_ENDPOINT_URL_SSM)).toMatch(
      /"https:\/\/".*Endpointsssm\w+","DnsEntries"/,
    );
    expect(findings).toEqual([]);
  });

  it('makes only the interface endpoints that are asked for, and gateway endpoints where it is told the route tables', () => {
    const { template, etcd } = networkStack({
      securityGroupId: NODES,
      endpoints: ['lambda'],
      routeTableIds: ['rtb-1', 'rtb-2'],
    });

    const endpoints = Object.values(template.findResources('AWS::EC2::VPCEndpoint')).map(({ Properties }) => [
      Properties.VpcEndpointType,
      text(Properties.ServiceName).split('.').at(-1),
      Properties.RouteTableIds,
    ]);
    expect(endpoints).toEqual([
      ['Gateway', 's3', ['rtb-1', 'rtb-2']],
      ['Gateway', 'dynamodb', ['rtb-1', 'rtb-2']],
      ['Interface', 'lambda', undefined],
    ]);
    expect(rules(template).filter((rule) => rule.includes(' in '))).toEqual([`endpoints in 443 from ${NODES}`]);
    expect(Object.keys(etcd.environment)).toEqual(['AWS_ENDPOINT_URL_LAMBDA']);
  });

  it.each([
    ['interface endpoints and no way to S3 and DynamoDB', { endpoints: true }, true],
    ['some of them', { endpoints: ['lambda'] }, true],
    ['gateway endpoints as well', { endpoints: true, routeTableIds: ['rtb-1'] }, false],
    ['gateway endpoints that are there already', { endpoints: true, routeTableIds: [] }, false],
    ['no endpoints, as with NAT', {}, false],
  ])('warns at synth where no run could begin: %s', (_, network, warns) => {
    const { network: base, ...cluster } = sampleCluster;
    using synthesis = synth([{ ...cluster, network: { ...base, ...network } }]);
    using acknowledged = synth([{ ...cluster, network: { ...base, ...network } }], (stacks) => {
      for (const stack of stacks)
        Annotations.of(stack).acknowledgeWarning(NO_GATEWAY_ENDPOINTS, 'They are made elsewhere.');
    });

    const warnings = synthesis.annotations();

    expect(warnings).toEqual(
      warns
        ? [expect.stringMatching(/^warning at .*routeTableIds.*no run begins.*\[ack: etcd-medic:noGatewayEndpoints\]/)]
        : [],
    );
    expect(acknowledged.annotations()).toEqual([]);
  });

  it('makes no gateway endpoints for an empty list of route tables', () => {
    const { template } = networkStack({ securityGroupId: NODES, endpoints: ['lambda'], routeTableIds: [] });

    template.resourceCountIs('AWS::EC2::VPCEndpoint', 1);
  });

  it('lets functions with IPv6 out by it, and has the SDK use addresses that have it', () => {
    const { template, etcd } = networkStack({ controlPlane: [NODES], ipv6: true });

    expect(rules(template)).toContain('etcd out 443 to ::/0');
    expect(etcd.props.ipv6AllowedForDualStack).toBe(true);
    expect(etcd.environment).toEqual({ AWS_USE_DUALSTACK_ENDPOINT: 'true' });
  });

  it.each([
    ['neither a group nor a control plane', {}, 'controlPlane: found nothing, expected either this,'],
    ['both', { securityGroupId: NODES, controlPlane: [NODES] }, 'or a `securityGroupId` of your own'],
    [
      'an address without its length',
      { controlPlane: ['10.0.0.1'] },
      'controlPlane[0]: found "10.0.0.1", expected a security',
    ],
    ['a load balancer beside a group', { securityGroupId: NODES, apiServer: [NODES] }, 'apiServer: found'],
    [
      'a service that has no endpoint here',
      { securityGroupId: NODES, endpoints: ['s3'] },
      'endpoints: found ["s3"], expected true',
    ],
    ['IPv6 and endpoints', { securityGroupId: NODES, endpoints: true, ipv6: true }, 'ipv6: found true, expected false'],
    ['a route table’s name', { securityGroupId: NODES, routeTableIds: ['main'] }, "expected a route table's id"],
  ])('is not made of %s', (_, network, problem) => {
    expect(() => networkStack(network)).toThrow(
      `network.${problem}`.replace('network.or', 'or').replace('network.exp', 'exp'),
    );
  });
});
