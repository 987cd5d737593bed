// The VPC's part of a cluster's stack: where the functions that reach etcd or the API server are, and what is opened
// for them.
import { Annotations } from 'aws-cdk-lib';
import { type ISecurityGroup, type IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { FunctionProps } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import type { NetworkConfiguration } from '../functions/contract/network.ts';
import type { FunctionVariables } from '../functions/contract/variables.ts';
import { type Peer, PeerAccess } from './peer-access.ts';
import { ServiceEndpoints } from './service-endpoints.ts';

/** What a function reaches besides AWS's services. */
export type Reached = 'etcd' | 'kubernetes';

/** What a function in the VPC is made with. */
export interface FunctionNetwork {
  readonly props: Pick<FunctionProps, 'vpc' | 'securityGroups' | 'ipv6AllowedForDualStack'>;
  readonly environment: FunctionVariables;
}

const DEFAULT_HTTPS_PORT = 443;

/** One for a stack. Everything is known by its id, so that synth looks nothing up. */
export class ClusterNetwork extends Construct {
  readonly #vpc: IVpc;
  readonly #ipv6: boolean;
  readonly #groups: Readonly<Partial<Record<Reached, ISecurityGroup>>>;
  readonly #endpoints: ServiceEndpoints;

  /** @returns undefined where the configuration has no network: the functions are outside of any VPC then */
  static of(scope: Construct, id: string, cluster: ClusterConfiguration): ClusterNetwork | undefined {
    return cluster.network && new ClusterNetwork(scope, id, cluster, cluster.network);
  }

  constructor(scope: Construct, id: string, cluster: ClusterConfiguration, network: NetworkConfiguration) {
    super(scope, id);
    this.#ipv6 = network.ipv6;
    this.#vpc = Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: network.vpcId,
      privateSubnetIds: network.subnetIds,
      // The CDK wants as many zones as subnets, or one; Lambda takes only the subnets' ids, so this is written nowhere.
      availabilityZones: ['any'],
    });
    Annotations.of(this.#vpc).acknowledgeWarning(
      '@aws-cdk/aws-ec2:noSubnetRouteTableId',
      'No route is added to a subnet here: gateway endpoints are given the route tables by their ids.',
    );
    this.#groups = groupsOf(this, this.#vpc, cluster, network);
    this.#endpoints = new ServiceEndpoints(this, 'Endpoints', {
      vpc: this.#vpc,
      network,
      functionGroups: [...new Set(Object.values(this.#groups))],
    });
  }

  /** @param reached what the function's code connects to: its groups let out that, AWS's services, and nothing else */
  functionNetwork(...reached: readonly Reached[]): FunctionNetwork {
    const groups = reached.flatMap((each) => this.#groups[each] ?? []);
    return {
      props: {
        vpc: this.#vpc,
        securityGroups: [...new Set(groups)],
        ...(this.#ipv6 && { ipv6AllowedForDualStack: true }),
      },
      environment: {
        ...(this.#ipv6 && { AWS_USE_DUALSTACK_ENDPOINT: 'true' }),
        ...this.#endpoints.environment,
      },
    };
  }
}

/** The user's own group for everything, or one of the stack's for each of what is reached. */
function groupsOf(
  scope: Construct,
  vpc: IVpc,
  cluster: ClusterConfiguration,
  { securityGroupId, controlPlane = [], apiServer = controlPlane, dnsServers = [], ipv6 }: NetworkConfiguration,
): Partial<Record<Reached, ISecurityGroup>> {
  if (securityGroupId !== undefined) {
    // Not mutable: the group is the user's, and what it lets out is theirs to say.
    const own = SecurityGroup.fromSecurityGroupId(scope, 'SecurityGroup', securityGroupId, { mutable: false });
    return { etcd: own, kubernetes: own };
  }
  const access = (id: string, what: string, ports: readonly number[], peers: readonly Peer[]) =>
    new PeerAccess(scope, id, { vpc, clusterName: cluster.name, what, ports, peers, dnsServers, ipv6 }).securityGroup;
  const { kubernetes } = cluster;
  return {
    etcd: access('Etcd', 'etcd', etcdPorts(cluster), controlPlane),
    ...(kubernetes && {
      kubernetes: access('ApiServer', 'the API server', [portOf(kubernetes.server)], apiServer),
    }),
  };
}

function etcdPorts({ etcd }: ClusterConfiguration): readonly number[] {
  return [...new Set(etcd.endpoints?.map(portOf) ?? [etcd.clientPort])].sort((a, b) => a - b);
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'http:' ? 80 : DEFAULT_HTTPS_PORT) : Number(port);
}
