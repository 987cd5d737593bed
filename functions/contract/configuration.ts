// One cluster's configuration: the entry in cdk.json's `clusters`, the file given to bin/invoke.ts, and what a function
// finds in its environment are the same document, checked by this one schema.
import * as z from 'zod/mini';
import { bytes, text } from './fields.ts';
import { networkSchema } from './network.ts';
import { ABSOLUTE_PATH, UNIT_NAME } from './patterns.ts';
import { POLICIES, schedule } from './policies.ts';
import { PRESETS } from './presets.ts';
import { authoritySchema } from './purposes.ts';
import { validate } from './validate.ts';
import { WORKFLOW_NAMES } from './workflows.ts';

const port = z
  .number()
  .check(z.int('a port number'), z.gte(1, 'a port number from 1'), z.lte(65535, 'a port number up to 65535'));
// The SSM documents take no others: neither is ever read by a shell.
const unitName = z.string().check(z.regex(new RegExp(UNIT_NAME), 'the name of a systemd unit'));
const absolutePath = z
  .string()
  .check(z.regex(new RegExp(ABSOLUTE_PATH), 'an absolute path of letters, digits, dots and hyphens'));
const arn = z.string().check(z.regex(/^arn:[a-z-]+:/, 'an ARN'));
// An alias is none: permissions are given for keys.
const keyArn = z
  .string()
  .check(
    z.regex(
      /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/,
      'the ARN of a KMS key, arn:…:key/…, in its region',
    ),
  );

// It goes into a role's policy, where a wildcard would mean every topic. A FIFO topic takes no alarms and no plain
// messages.
const topicArn = z
  .string()
  .check(z.regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}$/, "a standard SNS topic's ARN"));

const endpoint = z.string().check(z.refine(isClientUrl, 'a client URL such as https://10.0.0.1:2379'));
/** Of etcd, which nobody reaches at the port that a URL means without saying so. */
const etcdEndpoint = endpoint.check(
  z.refine((url) => !isClientUrl(url) || /:\d+\/?$/.test(url), {
    error: ({ input }) =>
      `its port, too (${String(input).replace(/\/$/, '')}:2379 as a rule): without one ${portMeant(String(input))} would be tried`,
  }),
);

const secret = z.strictObject({ secretArn: arn });
/** The stack makes the secret, and the function credentials fills and renews it. */
const issued = z.strictObject({ issued: z.literal(true) });
const clientCertificate = z.strictObject({ caFile: text, certFile: text, keyFile: text });
const token = z.strictObject({ caFile: text, tokenFile: text });

const etcd = z.strictObject({
  endpoints: z.optional(z.array(etcdEndpoint).check(z.minLength(1, 'at least one client URL'))),
  /** Of members that are found by their nodes. Left out: the preset's. */
  clientPort: z.optional(port),
  credentials: z.optional(
    z.union(
      [secret, clientCertificate, issued],
      '{ "secretArn" }, { "caFile", "certFile", "keyFile" } or { "issued": true }',
    ),
  ),
  quotaBytes: z.optional(bytes),
  /** The members' data folder on their nodes. Left out: the preset's. */
  dataDir: z.optional(absolutePath),
});

const snapshot = z.strictObject({
  /** Left out: the stack's own bucket. */
  bucket: z.optional(text),
  /** `stop`: a snapshot that fails ends the run before its first change; `continue`: it is reported and passed over. */
  onFailure: z._default(z.enum(['stop', 'continue']), 'stop'),
  /**
   * Of a recovery's: `after-first-member`: of the first follower that has its history behind it, once its contents were
   * compared with every other voter's; `before-compaction`: of the history, too, before anything is changed.
   */
  order: z._default(z.enum(['after-first-member', 'before-compaction']), 'after-first-member'),
});

/**
 * A dry run of each workflow. Weekly, because Lambda takes back what a function in a VPC needs after some two weeks
 * without a call; on a Tuesday, because there is somebody then, and the rest of the week to mend what it finds; at
 * 10:00 UTC, when it is day from Europe to India, and morning not long after in America.
 */
const REHEARSAL = { cron: '0 10 ? * TUE *', timeZone: 'UTC' };

const consoleSchema = z.strictObject({
  /**
   * Ready-made events for the console's Test tab lie in a registry of EventBridge's schemas, of which there is one for
   * an account and region: `create` it, use the `existing` one, or `false`: no such events. CloudFormation can't find
   * out which is right.
   */
  registry: z._default(
    z.union([z.literal(false), z.enum(['create', 'existing'])], 'false, "create" or "existing"'),
    false,
  ),
});

const nodes = z.strictObject({
  tag: z.strictObject({ key: text, value: text }),
  /** Left out: the preset's. */
  kubeletUnit: z.optional(unitName),
  /** Left out: the preset's. */
  manifestPath: z.optional(absolutePath),
  /** Where the authorities lie that sign what is `issued`. Left out: where the preset has them. */
  authorities: z.optional(
    z.strictObject({ etcd: z.optional(authoritySchema), kubernetes: z.optional(authoritySchema) }),
  ),
});

/** As a person writes it, without what the preset adds. */
const writtenSchema = z
  .strictObject({
    name: z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,38}$/, 'lower case letters, digits and hyphens, at most 39')),
    /** What installed the cluster. A field that is written goes before what it says. */
    preset: z._default(z.enum(['kubeadm', 'kops-main', 'kops-events', 'rke2', 'k3s']), 'kubeadm'),
    etcd: z._default(etcd, () => etcd.parse({})),
    nodes: z.optional(nodes),
    kubernetes: z.optional(
      z.strictObject({
        // Credentials are sent there.
        server: endpoint.check(
          z.refine((url) => url.startsWith('https:'), 'an https URL such as https://10.0.0.1:6443'),
        ),
        credentials: z.union(
          [secret, token, clientCertificate, issued],
          '{ "secretArn" }, { "caFile", "tokenFile" }, { "caFile", "certFile", "keyFile" } or { "issued": true }',
        ),
        /** The API server's --etcd-prefix, under which it keeps everything. */
        etcdPrefix: z._default(
          z.string().check(z.regex(/^(\/[A-Za-z0-9._-]+)+$/, 'a prefix such as "/registry"')),
          '/registry',
        ),
      }),
    ),
    network: z.optional(networkSchema),
    console: z._default(consoleSchema, () => consoleSchema.parse({})),
    /** Encrypts what the stack keeps: its table and its bucket. Left out: AWS's own keys. */
    encryptionKeyArn: z.optional(keyArn),
    alarms: z._default(z.array(z.strictObject({ name: text, workflow: z.enum(WORKFLOW_NAMES) })), []),
    ...POLICIES,
    rehearsal: z._default(schedule, REHEARSAL),
    snapshot: z.optional(
      z.union([z.literal(false), snapshot], 'false or { "bucket", "onFailure": "stop" or "continue" }'),
    ),
    notify: z.optional(
      z.strictObject({
        emails: z._default(z.array(z.email('an e-mail address')), []),
        topicArns: z._default(z.array(topicArn), []),
        /** Also tell of nights on which all went well. */
        routine: z._default(z.boolean(), false),
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
    z.refine((cluster) => cluster.nodes !== undefined || issuedBy(cluster).length === 0, {
      message: 'the nodes that sign the certificates which are to be issued',
      path: ['nodes'],
    }),
    (context) => {
      const { nodes: found, preset } = context.value;
      const { whyNoNodes } = PRESETS[preset];
      if (found && whyNoNodes) {
        context.issues.push({ code: 'custom', message: whyNoNodes, path: ['nodes'], input: found });
      }
    },
  );

const clusterSchema = z.pipe(writtenSchema, z.transform(withPreset));

function withPreset({ nodes: written, ...cluster }: z.output<typeof writtenSchema>) {
  const preset = PRESETS[cluster.preset];
  // Nobody looks at a data folder without nodes: there it may be any.
  const { clientPort = preset.clientPort, dataDir = preset.dataDir ?? '/var/lib/etcd' } = cluster.etcd;
  const { kubeletUnit = preset.kubeletUnit, manifestPath = preset.manifestPath } = written ?? {};
  const { restartKubelets = preset.restartKubelets } = cluster.recover;
  return {
    ...cluster,
    etcd: { ...cluster.etcd, clientPort, dataDir },
    recover: { ...cluster.recover, restartKubelets },
    ...(written && { nodes: { ...written, kubeletUnit, manifestPath } }),
  };
}

function isClientUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return (
    url !== undefined &&
    ['http:', 'https:'].includes(url.protocol) &&
    url.hostname !== '' &&
    url.pathname === '/' &&
    !url.username
  );
}

function portMeant(url: string): number {
  return url.startsWith('https:') ? 443 : 80;
}

/** What certificates the stack is to issue. */
export function issuedBy(
  cluster: Pick<z.output<typeof writtenSchema>, 'etcd' | 'kubernetes'>,
): readonly ('etcd' | 'kubernetes')[] {
  return (['etcd', 'kubernetes'] as const).filter((purpose) => {
    const credentials = cluster[purpose]?.credentials;
    return credentials !== undefined && 'issued' in credentials;
  });
}

/** A cluster's configuration, with the defaults filled in. */
export type ClusterConfiguration = z.output<typeof clusterSchema>;
export type KubernetesConfiguration = NonNullable<ClusterConfiguration['kubernetes']>;
export type MaintenancePolicy = ClusterConfiguration['maintain'];
export type PruningPolicy = ClusterConfiguration['prune'];
/** Why a report is stale. */
export type StaleReason = keyof PruningPolicy['reasons'];
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
