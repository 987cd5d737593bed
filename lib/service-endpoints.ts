// Ways to AWS's services that need neither NAT nor an address of the internet: endpoints in the VPC, for etcd-medic's
// functions alone.
import { Annotations, Fn, Stack } from 'aws-cdk-lib';
import { CfnVPCEndpoint, type ISecurityGroup, type IVpc, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { type EndpointService, endpointServices, type NetworkConfiguration } from '../functions/contract/network.ts';
import type { FunctionVariables } from '../functions/contract/variables.ts';

export interface ServiceEndpointsProps {
  readonly vpc: IVpc;
  readonly network: NetworkConfiguration;
  /** Who may use the interface endpoints. */
  readonly functionGroups: readonly ISecurityGroup[];
}

/** To be acknowledged by an app of one's own that makes the gateway endpoints itself. */
export const NO_GATEWAY_ENDPOINTS = 'etcd-medic:noGatewayEndpoints';

const WHY_GATEWAY_ENDPOINTS =
  'network.endpoints without network.routeTableIds: interface endpoints lead to neither DynamoDB, where the lease is, nor S3, where ' +
  "snapshots go, and without a way there no run begins. Give the subnets' route tables as routeTableIds, and the stack makes the " +
  'gateway endpoints, which cost nothing. Where the VPC has these already, or a NAT gateway: "routeTableIds": []';

/** The SDK's name of a service in `AWS_ENDPOINT_URL_…`. */
const SDK_NAMES: Readonly<Record<EndpointService, string>> = {
  lambda: 'LAMBDA',
  events: 'EVENTBRIDGE',
  secretsmanager: 'SECRETS_MANAGER',
  ssm: 'SSM',
};

/**
 * Interface endpoints are made without private DNS, and the functions are told their names: with it, everything in the
 * VPC would be sent to them, the nodes' SSM agents among it, and be turned away. Makes nothing where the configuration
 * asks for nothing.
 */
export class ServiceEndpoints extends Construct {
  /** For the functions. */
  readonly environment: FunctionVariables;

  constructor(scope: Construct, id: string, { vpc, network, functionGroups }: ServiceEndpointsProps) {
    super(scope, id);
    const { routeTableIds = [] } = network;
    for (const service of routeTableIds.length > 0 ? ['s3', 'dynamodb'] : []) {
      new CfnVPCEndpoint(this, service, {
        vpcId: vpc.vpcId,
        vpcEndpointType: 'Gateway',
        serviceName: serviceName(this, service),
        routeTableIds: [...routeTableIds],
      });
    }
    const services = endpointServices(network);
    if (services.length > 0 && network.routeTableIds === undefined) {
      Annotations.of(this).addWarningV2(NO_GATEWAY_ENDPOINTS, WHY_GATEWAY_ENDPOINTS);
    }
    if (services.length === 0) {
      this.environment = {};
      return;
    }
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'Endpoints of services of AWS for the functions of etcd-medic',
      allowAllOutbound: false,
    });
    for (const group of functionGroups) securityGroup.addIngressRule(group, Port.HTTPS, 'Functions of etcd-medic');
    this.environment = Object.fromEntries(
      services.map((service) => {
        const endpoint = new CfnVPCEndpoint(this, service, {
          vpcId: vpc.vpcId,
          vpcEndpointType: 'Interface',
          serviceName: serviceName(this, service),
          subnetIds: [...network.subnetIds],
          securityGroupIds: [securityGroup.securityGroupId],
          privateDnsEnabled: false,
        });
        return [`AWS_ENDPOINT_URL_${SDK_NAMES[service]}`, `https://${dnsNameOf(endpoint)}`];
      }),
    );
  }
}

function serviceName(scope: Construct, service: string): string {
  return `com.amazonaws.${Stack.of(scope).region}.${service}`;
}

/** The first entry is the one for all zones, as `<hosted zone>:<name>`. */
function dnsNameOf(endpoint: CfnVPCEndpoint): string {
  return Fn.select(1, Fn.split(':', Fn.select(0, endpoint.attrDnsEntries)));
}
