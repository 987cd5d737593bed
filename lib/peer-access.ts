// A security group for functions that lets out certain ports to certain peers, and where a peer is a security group,
// lets them in there.
import { CfnSecurityGroupIngress, Peer as Ec2Peer, type IVpc, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';

/** A security group's id, `sg-…`, or a block of addresses. */
export type Peer = string;

export interface PeerAccessProps {
  readonly vpc: IVpc;
  readonly clusterName: string;
  /** `etcd`, `the API server`: for whoever finds a rule in the console. */
  readonly what: string;
  /** Of TCP. */
  readonly ports: readonly number[];
  readonly peers: readonly Peer[];
  /** Addresses, or blocks of them: asked at port 53, of UDP and, where an answer is long, of TCP. */
  readonly dnsServers: readonly string[];
  /** AWS's services may be reached by IPv6 as well. */
  readonly ipv6: boolean;
}

export class PeerAccess extends Construct {
  readonly securityGroup: SecurityGroup;

  constructor(
    scope: Construct,
    id: string,
    { vpc, clusterName, what, ports, peers, dnsServers, ipv6 }: PeerAccessProps,
  ) {
    super(scope, id);
    this.securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: `Functions of etcd-medic for cluster ${clusterName} that reach ${what}`,
      allowAllOutbound: false,
    });
    // EC2 takes no apostrophe here.
    const services = 'Services of AWS';
    // Their addresses are many and change: the port is what can be said of them.
    this.securityGroup.addEgressRule(Ec2Peer.anyIpv4(), Port.HTTPS, services);
    if (ipv6) this.securityGroup.addEgressRule(Ec2Peer.anyIpv6(), Port.HTTPS, services);
    for (const server of new Set(dnsServers)) {
      for (const port of [Port.DNS_UDP, Port.DNS_TCP]) this.securityGroup.addEgressRule(addresses(server), port, 'DNS');
    }
    for (const peer of new Set(peers)) {
      for (const port of ports) {
        if (peer.startsWith('sg-')) this.#openBothWays(peer, port, `etcd-medic (${clusterName}) to ${what}`);
        else this.securityGroup.addEgressRule(addresses(peer), Port.tcp(port), what);
      }
    }
  }

  /**
   * A rule of the control plane's group of its own, which goes with the stack; what else that group has is left alone.
   */
  #openBothWays(groupId: string, port: number, description: string): void {
    this.securityGroup.addEgressRule(Ec2Peer.securityGroupId(groupId), Port.tcp(port), description);
    new CfnSecurityGroupIngress(this, `From-${groupId}-${port}`, {
      groupId,
      sourceSecurityGroupId: this.securityGroup.securityGroupId,
      ipProtocol: 'tcp',
      fromPort: port,
      toPort: port,
      description,
    });
  }
}

/** @param block of one address, where it says no length */
function addresses(block: string) {
  const [length, peer] = block.includes(':') ? [128, Ec2Peer.ipv6] : [32, Ec2Peer.ipv4];
  return peer(block.includes('/') ? block : `${block}/${length}`);
}
