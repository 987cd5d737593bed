// The VPC, the subnets and the security group from which a function reaches etcd, by their ids alone: synth looks nothing up.
import { Annotations } from 'aws-cdk-lib';
import { type ISecurityGroup, type IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { NetworkConfiguration } from '../functions/run/network.ts';

export class FunctionNetwork extends Construct {
  readonly vpc: IVpc;
  readonly securityGroups: ISecurityGroup[];

  constructor(scope: Construct, id: string, network: NetworkConfiguration) {
    super(scope, id);
    const { securityGroupId } = network;
    if (securityGroupId === undefined) throw new RangeError('network.securityGroupId: found nothing');
    this.vpc = Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: network.vpcId,
      privateSubnetIds: network.subnetIds,
      // The CDK wants as many zones as subnets, or one; Lambda takes only the subnets' ids, so this is written nowhere.
      availabilityZones: ['any'],
    });
    Annotations.of(this.vpc).acknowledgeWarning(
      '@aws-cdk/aws-ec2:noSubnetRouteTableId',
      'No route is added here, so the route tables need not be known.',
    );
    this.securityGroups = [
      // Not mutable: the group is the user's, and what it lets out is theirs to say.
      SecurityGroup.fromSecurityGroupId(this, 'SecurityGroup', securityGroupId, { mutable: false }),
    ];
  }
}
