// From where in a VPC the functions reach etcd and the API server: the configuration's field `network`.
import * as z from 'zod/mini';

const text = z.string().check(z.minLength(1, 'a text that is not empty'));
const SECURITY_GROUP_ID = /^sg-[0-9a-f]+$/;

const peers = z
  .array(
    z.union(
      [z.string().check(z.regex(SECURITY_GROUP_ID)), z.cidrv4(), z.cidrv6()],
      "a security group's id, sg-…, or a block of addresses such as 10.0.1.0/24",
    ),
  )
  .check(z.minLength(1, 'at least one security group or block of addresses'));

/**
 * What functions in a VPC call by an interface endpoint. S3 and DynamoDB have gateway endpoints, which cost nothing.
 */
const ENDPOINT_SERVICES = ['lambda', 'events', 'secretsmanager', 'ssm'] as const;
export type EndpointService = (typeof ENDPOINT_SERVICES)[number];

export const networkSchema = z
  .strictObject({
    vpcId: text,
    subnetIds: z.array(text).check(z.minLength(1, 'at least one subnet')),
    /**
     * A group of the user's own, for all functions. Left out: the stack makes groups that let out what is needed and no
     * more.
     */
    securityGroupId: z.optional(z.string().check(z.regex(SECURITY_GROUP_ID, "a security group's id, sg-…"))),
    /**
     * Where etcd's members are. Security groups among these are made to let in etcd's client port, from the functions
     * alone.
     */
    controlPlane: z.optional(peers),
    /** Where the API server is reached, if not at `controlPlane`: its load balancer. */
    apiServer: z.optional(peers),
    /** DNS servers of the user's own: Route 53 Resolver, which VPCs have by default, needs no rule. Left out: none. */
    dnsServers: z.optional(
      z
        .array(
          z.union(
            [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
            'an address such as 10.0.0.53, or a block of addresses',
          ),
        )
        .check(z.minLength(1, 'at least one server')),
    ),
    /** Interface endpoints that the stack makes for its functions: all of them, or these. Left out: none. */
    endpoints: z.optional(
      z.union(
        [z.boolean(), z.array(z.enum(ENDPOINT_SERVICES)).check(z.minLength(1))],
        `true, false, or some of ${ENDPOINT_SERVICES.join(', ')}`,
      ),
    ),
    /**
     * Of the subnets: where the stack adds gateway endpoints for S3 and DynamoDB. Left out or empty, which says that it
     * need not: none.
     */
    routeTableIds: z.optional(z.array(z.string().check(z.regex(/^rtb-[0-9a-f]+$/, "a route table's id, rtb-…")))),
    /** The subnets have IPv6 and a way out by it: AWS's services are reached at their dual-stack addresses. */
    ipv6: z._default(z.boolean(), false),
    /** Not needed, and not looked at. */
    availabilityZones: z.optional(z.array(text)),
  })
  .check(
    z.refine(({ securityGroupId, controlPlane }) => (securityGroupId === undefined) !== (controlPlane === undefined), {
      message: "either this, the control plane's security groups or addresses, or a `securityGroupId` of your own",
      path: ['controlPlane'],
    }),
    z.refine(({ apiServer, controlPlane }) => apiServer === undefined || controlPlane !== undefined, {
      message: 'nothing, because with a `securityGroupId` of your own nothing is opened here',
      path: ['apiServer'],
    }),
    z.refine(({ dnsServers, controlPlane }) => dnsServers === undefined || controlPlane !== undefined, {
      message: 'nothing, because with a `securityGroupId` of your own nothing is opened here',
      path: ['dnsServers'],
    }),
    z.refine(({ endpoints = false, ipv6 }) => endpoints === false || !ipv6, {
      message: 'false together with `endpoints`: the AWS SDK takes only one of the two',
      path: ['ipv6'],
    }),
  );

export type NetworkConfiguration = z.output<typeof networkSchema>;

/** Those that the stack makes an interface endpoint for. */
export function endpointServices({
  endpoints = false,
}: Pick<NetworkConfiguration, 'endpoints'> = {}): readonly EndpointService[] {
  if (typeof endpoints === 'boolean') return endpoints ? ENDPOINT_SERVICES : [];
  return [...new Set(endpoints)];
}
