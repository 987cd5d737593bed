// One cluster's configuration: the entry in cdk.json's `clusters`, the file given to bin/invoke.ts, and what a function
// finds in its environment are the same document, checked by this one schema.
import * as z from 'zod/mini';
import { validate } from './validate.ts';

const text = z.string().check(z.minLength(1, 'a text that is not empty'));
const bytes = z.number().check(z.int('a whole number of bytes'), z.positive('more than 0 bytes'));
const port = z
  .number()
  .check(z.int('a port number'), z.gte(1, 'a port number from 1'), z.lte(65535, 'a port number up to 65535'));
// The SSM documents take no others: neither is ever read by a shell.
const unitName = z.string().check(z.regex(/^[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]{0,127}$/, 'the name of a systemd unit'));
const absolutePath = z
  .string()
  .check(
    z.regex(/^(\/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}){1,16}$/, 'an absolute path of letters, digits, dots and hyphens'),
  );
const arn = z.string().check(z.regex(/^arn:[a-z-]+:/, 'an ARN'));

const endpoint = z.string().check(
  z.refine((value) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    return (
      url !== undefined &&
      ['http:', 'https:'].includes(url.protocol) &&
      url.hostname !== '' &&
      url.pathname === '/' &&
      !url.username
    );
  }, 'a client URL such as https://10.0.0.1:2379'),
);

const secret = z.strictObject({ secretArn: arn });
const clientCertificate = z.strictObject({ caFile: text, certFile: text, keyFile: text });
const token = z.strictObject({ caFile: text, tokenFile: text });

const etcd = z.strictObject({
  endpoints: z.optional(z.array(endpoint).check(z.minLength(1, 'at least one client URL'))),
  clientPort: z._default(port, 2379),
  credentials: z.optional(
    z.union([secret, clientCertificate], '{ "secretArn" } or { "caFile", "certFile", "keyFile" }'),
  ),
  quotaBytes: z.optional(bytes),
  dataDir: z._default(absolutePath, '/var/lib/etcd'),
});

const snapshot = z.strictObject({
  /** Left out: the stack's own bucket. */
  bucket: z.optional(text),
  /** `stop`: a snapshot that fails ends the run before its first change; `continue`: it is reported and passed over. */
  onFailure: z._default(z.enum(['stop', 'continue']), 'stop'),
});

const recover = z.strictObject({
  /** How long the alarms are watched after they were disarmed. */
  watchSeconds: z._default(
    z.number().check(z.int('whole seconds'), z.gte(1, 'at least 1 second'), z.lte(3600, 'at most 3600 seconds')),
    120,
  ),
});

const clusterSchema = z
  .strictObject({
    name: z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,38}$/, 'lower case letters, digits and hyphens, at most 39')),
    etcd: z._default(etcd, () => etcd.parse({})),
    nodes: z.optional(
      z.strictObject({
        tag: z.strictObject({ key: text, value: text }),
        kubeletUnit: z._default(unitName, 'kubelet'),
        manifestPath: z._default(absolutePath, '/etc/kubernetes/manifests/etcd.yaml'),
      }),
    ),
    kubernetes: z.optional(
      z.strictObject({
        server: endpoint,
        credentials: z.union(
          [secret, token, clientCertificate],
          '{ "secretArn" }, { "caFile", "tokenFile" } or { "caFile", "certFile", "keyFile" }',
        ),
      }),
    ),
    network: z.optional(
      z.strictObject({
        vpcId: text,
        subnetIds: z.array(text).check(z.minLength(1)),
        securityGroupId: text,
        availabilityZones: z.optional(z.array(text)),
      }),
    ),
    alarms: z._default(z.array(z.strictObject({ name: text, workflow: z.enum(['recover', 'maintain', 'prune']) })), []),
    recover: z._default(recover, () => recover.parse({})),
    snapshot: z.optional(
      z.union([z.literal(false), snapshot], 'false or { "bucket", "onFailure": "stop" or "continue" }'),
    ),
    notify: z.optional(
      z.strictObject({
        emails: z._default(z.array(z.email('an e-mail address')), []),
        topicArns: z._default(z.array(arn), []),
      }),
    ),
  })
  .check(
    z.refine((cluster) => cluster.etcd.endpoints !== undefined || cluster.nodes !== undefined, {
      message: 'client URLs here, or `nodes` to find them by',
      path: ['etcd', 'endpoints'],
    }),
    z.refine(
      (cluster) =>
        cluster.etcd.credentials !== undefined ||
        (cluster.etcd.endpoints !== undefined && !cluster.etcd.endpoints.some((url) => url.startsWith('https:'))),
      { message: 'credentials, because etcd is reached by https', path: ['etcd', 'credentials'] },
    ),
  );

/** A cluster's configuration, with the defaults filled in. */
export type ClusterConfiguration = z.output<typeof clusterSchema>;
export type EtcdCredentials = NonNullable<ClusterConfiguration['etcd']['credentials']>;

/** @throws InvalidInputError naming the field, what was found and what was expected */
export function parseCluster(input: unknown, source = 'cluster configuration'): ClusterConfiguration {
  return validate(clusterSchema, input, source);
}

/**
 * The list in cdk.json's context.
 * @throws InvalidInputError also for an empty list and for two clusters of one name
 */
export function parseClusters(input: unknown, source = 'clusters'): ClusterConfiguration[] {
  const list = z.array(clusterSchema).check(
    z.minLength(1, 'at least one cluster'),
    z.refine((clusters) => new Set(clusters.map(({ name }) => name)).size === clusters.length, 'names that differ'),
  );
  return validate(list, input, source);
}
