// One cluster's configuration: the entry in cdk.json's `clusters`, the file given to bin/invoke.ts, and what a function
// finds in its environment are the same document, checked by this one schema.
import * as z from 'zod/mini';
import { networkSchema } from './network.ts';
import { ABSOLUTE_PATH, UNIT_NAME } from './patterns.ts';
import { PRESETS } from './presets.ts';
import { authoritySchema } from './purposes.ts';
import { writtenOnce } from './spellings.ts';
import { validate } from './validate.ts';
import { WORKFLOW_NAMES, type WorkflowName } from './workflows.ts';

const text = z.string().check(z.minLength(1, 'a text that is not empty'));
const bytes = z
  .number({ error: ({ input }) => numberOfBytes(input) })
  .check(z.int('a whole number of bytes'), z.positive('more than 0 bytes'));
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
});

const recover = z.strictObject({
  /** How long the alarms are watched after they were disarmed. */
  watchSeconds: z._default(
    z.number().check(z.int('whole seconds'), z.gte(1, 'at least 1 second'), z.lte(3600, 'at most 3600 seconds')),
    120,
  ),
  /**
   * Whether kubelets may be restarted where etcd does not answer (R11). Left out: where that helps, which the preset
   * knows.
   */
  restartKubelets: z.optional(z.boolean()),
});

const timeZone = z
  .string()
  .check(z.refine(isTimeZone, 'a time zone of the IANA database, such as "Europe/Berlin" or "UTC"'));

/** `false`: never by itself; a person and other workflows can still start it. */
const schedule = z.union(
  [
    z.literal(false),
    z.strictObject({
      /** EventBridge Scheduler's six fields: minute, hour, day of month, month, day of week, year. */
      cron: z.string().check(z.regex(/^\S+( \S+){5}$/, 'six fields of EventBridge Scheduler, such as "30 2 * * ? *"')),
      timeZone: z._default(timeZone, 'UTC'),
    }),
  ],
  'false or { "cron", "timeZone" }',
);

/**
 * A dry run of each workflow. Weekly, because Lambda takes back what a function in a VPC needs after some two weeks
 * without a call; on a Tuesday, because there is somebody then, and the rest of the week to mend what it finds; at
 * 10:00 UTC, when it is day from Europe to India, and morning not long after in America.
 */
const REHEARSAL = { cron: '0 10 ? * TUE *', timeZone: 'UTC' };

export const share = z.number().check(z.gt(0, 'more than 0'), z.lte(1, 'at most 1'));
export const wholeNumber = (from: number, to: number, of: string) =>
  z.number().check(z.int(`whole ${of}`), z.gte(from, `at least ${from} ${of}`), z.lte(to, `at most ${to} ${of}`));

/** The most that a configuration may say; a run's durable operations are counted with them. */
export const MOST_REVISION_AGE_SECONDS = 3_600;
export const MOST_PRUNE_MINUTES = 180;
export const MOST_DELETES = 1_000_000;
export const MOST_STALE_COUNT = 10_000_000;

const freeShareAbove = share;
const minReclaimBytes = bytes;
const quotaShareAbove = share;
const maxStallSeconds = wholeNumber(1, 3600, 'seconds');

const maintain = z.pipe(
  z
    .strictObject({
      schedule: z._default(schedule, { cron: '30 2 * * ? *', timeZone: 'UTC' }),
      /** Nothing new is begun later than this after a scheduled start. */
      windowMinutes: z._default(wholeNumber(10, 720, 'minutes'), 120),
      /** Delete stale reports first, in the same run; needs `kubernetes`. */
      prune: z._default(z.boolean(), false),
      /** The compaction is to a revision that is this old, so that no watch or list in flight loses its place. */
      revisionAgeSeconds: z._default(wholeNumber(1, MOST_REVISION_AGE_SECONDS, 'seconds'), 300),
      /** A member is defragmented where at least this share of its file is free… */
      freeShareAbove: z.optional(freeShareAbove),
      /** …and at least so many bytes come back… */
      minReclaimBytes: z.optional(minReclaimBytes),
      /** …or where its file fills at least this share of its quota. */
      quotaShareAbove: z.optional(quotaShareAbove),
      /**
       * A member whose defragmentation would stall it for longer is not touched: the kubelet's probe would kill it
       * half-way.
       */
      maxStallSeconds: z.optional(maxStallSeconds),
      // As these were written until 0.1.
      freeShare: z.optional(freeShareAbove),
      reclaimBytes: z.optional(minReclaimBytes),
      usageShare: z.optional(quotaShareAbove),
      stallSeconds: z.optional(maxStallSeconds),
    })
    .check(writtenOnce),
  z.transform(({ freeShare, reclaimBytes, usageShare, stallSeconds, ...written }) => ({
    ...written,
    freeShareAbove: written.freeShareAbove ?? freeShare ?? 0.45,
    minReclaimBytes: written.minReclaimBytes ?? reclaimBytes ?? 100 * 1024 * 1024,
    quotaShareAbove: written.quotaShareAbove ?? usageShare ?? 0.8,
    maxStallSeconds: written.maxStallSeconds ?? stallSeconds ?? 80,
  })),
);

export const kindName = z
  .string()
  .check(z.regex(/^[a-z0-9]+(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, '"<plural>.<group>"'));

const pruneKind = z.strictObject({
  /** `false`: this kind is not touched. */
  prune: z._default(z.boolean(), true),
  /** Needed for a kind that etcd-medic does not know by itself. */
  version: z.optional(z.string().check(z.regex(/^v[0-9]+((alpha|beta)[0-9]+)?$/, 'an API version such as "v1"'))),
  /** Stale once nobody has written it for so long, whoever owns it; a report's own TTL annotation comes first. */
  ttlHours: z.optional(z.number().check(z.positive('more than 0 hours'))),
  /** Overrides `prune.maxStaleShare` for this kind. */
  maxStaleShare: z.optional(share),
});

const counts = z._default(z.boolean(), true);
/** Why a report is stale; docs/pruning.md says what each means. `false`: that is no reason here. */
const reasons = z.strictObject({
  'owner-gone': counts,
  'owner-superseded': counts,
  'owner-scaled-to-zero': counts,
  'ttl-passed': counts,
  'producer-gone': counts,
  leftover: counts,
  'unowned-ephemeral': counts,
  'idle-ephemeral': counts,
});

const prune = z.strictObject({
  schedule: z._default(schedule, { cron: '30 1 * * ? *', timeZone: 'UTC' }),
  reasons: z._default(reasons, () => reasons.parse({})),
  /** An ephemeral report that nobody has written for so long is stale, whoever owns it. */
  ephemeralHours: z._default(z.number().check(z.gte(1, 'at least 1 hour')), 1),
  /**
   * Where a workload has no replicas, though its revision is the current one: after so many days its reports are stale.
   * Left out: never, since it may be back in the morning.
   */
  scaledToZeroDays: z.optional(z.number().check(z.gte(1, 'at least 1 day'))),
  /**
   * Whether a recovery may delete reports directly in etcd, of what is stale by the report itself: never, where no API
   * server answers, or also where that one has not come through with all that is stale.
   */
  direct: z._default(z.enum(['never', 'when-the-api-is-down', 'always']), 'when-the-api-is-down'),
  /** By `<plural>.<group>`, such as `vulnerabilityreports.aquasecurity.github.io`. */
  kinds: z._default(z.record(kindName, pruneKind), {}),
  /**
   * How many reports one run may delete, and for how long it may go on. While etcd refuses writes, a recovery takes as
   * many and as long as what is stale needs, where that is more.
   */
  maxDeletes: z._default(wholeNumber(1, MOST_DELETES, 'reports'), 20_000),
  maxMinutes: z._default(wholeNumber(1, MOST_PRUNE_MINUTES, 'minutes'), 30),
  /**
   * Where a larger share of a kind seems stale by its owners, or more reports than `maxStaleCount` by owners or by the
   * absence of an operator, a person has to look first. What a report itself says has no such limit.
   */
  maxStaleShare: z._default(share, 0.5),
  maxStaleCount: z._default(wholeNumber(1, MOST_STALE_COUNT, 'reports'), 200_000),
});

/** What is configured of each workflow. One with a `schedule` of its own is started by it. */
const POLICIES = {
  recover: z._default(recover, () => recover.parse({})),
  maintain: z._default(maintain, () => maintain.parse({})),
  prune: z._default(prune, () => prune.parse({})),
} satisfies Readonly<Record<WorkflowName, z.ZodMiniType>>;

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

/** What stands behind "expected": of "8G" and its like the number that is meant, as etcd's own flag takes it. */
function numberOfBytes(found: unknown): string {
  const [, amount, unit = ''] =
    /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$/i.exec(typeof found === 'string' ? found : '') ?? [];
  if (amount === undefined) return 'a number of bytes, such as 8589934592 for 8 GiB';
  const exponent = ['', 'k', 'm', 'g', 't'].indexOf(unit.toLowerCase());
  const meant = Math.round(Number(amount) * 1024 ** exponent);
  return `a number of bytes, without quotes and unit: ${meant}${exponent === 0 ? '' : ` is ${amount} ${unit.toUpperCase()}iB`}`;
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

/** Offsets such as "+01:00" are none: they know no daylight saving, and EventBridge Scheduler takes only names. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z_]+(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** A cluster's configuration, with the defaults filled in. */
export type ClusterConfiguration = z.output<typeof clusterSchema>;
export type KubernetesConfiguration = NonNullable<ClusterConfiguration['kubernetes']>;
export type MaintenancePolicy = ClusterConfiguration['maintain'];
export type PruningPolicy = ClusterConfiguration['prune'];
/** When it starts by itself: `false` is never. */
export type Schedule = z.output<typeof schedule>;
/** Why a report is stale. */
export type StaleReason = keyof PruningPolicy['reasons'];
export type EtcdCredentials = NonNullable<ClusterConfiguration['etcd']['credentials']>;

/** Undefined: a workflow without a schedule of its own, which something else starts. */
export function scheduleOf(cluster: ClusterConfiguration, workflow: WorkflowName): Nightly | undefined {
  const policy = cluster[workflow];
  return 'schedule' in policy ? policy : undefined;
}

interface Nightly {
  readonly schedule: Schedule;
  /** Nothing new is begun later than this after its start. */
  readonly windowMinutes?: number;
}

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
