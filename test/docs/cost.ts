// What a month of one cluster costs: what stands in its template, and how often it runs, at listed prices.
import {
  CLUSTER_METRICS,
  CONTENTS_METRICS,
  MEMBER_METRICS,
  MOST_KIND_METRICS,
} from '../../functions/contract/metrics.ts';

/**
 * us-east-1, US dollars, without any free tier; AWS's pricing pages and what was written about them until June 2026.
 * Each is what is charged for the first units.
 */
export const PRICES = {
  /** A metric that an alarm looks at, a month. */
  alarmMetric: 0.1,
  /** A custom metric, a month; an hour in which nothing came is not charged. */
  customMetric: 0.3,
  dashboard: 3,
  logsPerGb: 0.5,
  lambdaPerRequest: 0.2 / 1e6,
  lambdaArmPerGbSecond: 0.000_013_333_4,
  durableOperation: 8 / 1e6,
  dynamoWriteUnit: 0.625 / 1e6,
  secret: 0.4,
  secretCall: 0.05 / 10_000,
  s3PerGb: 0.023,
  s3Put: 0.005 / 1_000,
  xrayTrace: 5 / 1e6,
  /** In one zone, an hour. */
  interfaceEndpoint: 0.01,
  kmsKey: 1,
  trafficBetweenZonesPerGb: 0.02,
} as const;

const HOURS = 730;
const PROBES = HOURS * 60;
const NIGHTS = 30;
/** Rounded up. */
const WEEKS = 5;
const GB = 1024 ** 3;

/** What is not in the template. Measured here where nothing else is said. */
const USE = {
  members: 3,
  probeSeconds: 0.15,
  /** Of one probe: its metrics, its log line, and Lambda's own lines. */
  probeLogBytes: 2_500,
  /** The record of a look at three members is up to 2 kB. */
  probeWriteUnits: 2,
  /** The probe asks for its certificate every five minutes, in one process. */
  secretCalls: (HOURS * 60) / 5,
  /** Of one night's maintenance or pruning, without its waits, which cost nothing; a guess. */
  runSeconds: 60,
  runOperations: 100,
  /** Of a dry run, which looks and decides. */
  rehearsalSeconds: 20,
  rehearsalOperations: 20,
  /** Of etcd's file: what a cluster of some hundred nodes with reports has. */
  fileBytes: 0.5 * GB,
  /** Snapshots are kept for 30 days, and as an old version for 7 more. */
  snapshotsKept: NIGHTS + 7,
  snapshotPartBytes: 8 * 1024 ** 2,
  /** `/metrics` of etcd before 3.6.6, where it is asked for the quota; of the members that are in other zones. */
  metricsBytes: 166_000,
  membersInOtherZones: 2,
  runMetrics: 3,
} as const;

export interface CostLine {
  readonly what: string;
  readonly howMuch: string;
  readonly dollars: number;
}

/** What of a template is looked at. */
interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>> | undefined;
  readonly DeletionPolicy?: unknown;
}
export type Resources = Readonly<Record<string, Resource>>;

/** @returns a line for each thing that costs anything in this template */
export function costOf(resources: Resources, secretsOfTheUser = 0): readonly CostLine[] {
  const of = (type: string) => Object.values(resources).filter((resource) => resource.Type === type);
  const schedules = of('AWS::Scheduler::Schedule');
  const rehearsals = schedules.filter(({ Properties }) => /-dry-\w+$/.test(String(Properties?.Name))).length;
  const workflows = schedules.length - rehearsals;
  const probe = of('AWS::Lambda::Function').find(({ Properties }) => named(Properties).endsWith('-probe'));
  const alarmMetrics = of('AWS::CloudWatch::Alarm').reduce((sum, alarm) => sum + metricsOf(alarm), 0);
  const metrics = Object.keys(CLUSTER_METRICS).length + USE.members * Object.keys(MEMBER_METRICS).length;
  // All others have no rate.
  const kindMetrics = (MOST_KIND_METRICS + 1) * Object.keys(CONTENTS_METRICS).length - 1;
  const secrets = of('AWS::SecretsManager::Secret').length + secretsOfTheUser;
  const traced = probe?.Properties?.TracingConfig !== undefined;
  const runs = workflows * NIGHTS;
  const probeGbSeconds = PROBES * USE.probeSeconds * (memoryMb(probe) / 1024);
  const runGbSeconds = runs * USE.runSeconds * 0.5;
  const fileGb = USE.fileBytes / GB;
  const trafficGb = (PROBES * USE.metricsBytes * USE.membersInOtherZones) / 1e9;
  const lines: CostLine[] = [
    line('metrics of the probe', `${metrics}, with ${USE.members} members`, metrics * PRICES.customMetric),
    line(
      'metrics of the runs',
      `${USE.runMetrics} of ${workflows} nightly runs, in 1 hour of 24`,
      (USE.runMetrics * workflows * PRICES.customMetric * NIGHTS) / HOURS,
    ),
    line(
      'metrics of the kinds',
      `${kindMetrics} of the ${MOST_KIND_METRICS} largest kinds and all others, in 1 hour of 24`,
      (kindMetrics * PRICES.customMetric * NIGHTS) / HOURS,
    ),
    line(
      'alarms',
      `${of('AWS::CloudWatch::Alarm').length}, which look at ${alarmMetrics} metrics`,
      alarmMetrics * PRICES.alarmMetric,
    ),
    line(
      'dashboard',
      String(of('AWS::CloudWatch::Dashboard').length),
      of('AWS::CloudWatch::Dashboard').length * PRICES.dashboard,
    ),
    line(
      'secrets',
      `${secrets}, read every five minutes`,
      secrets * PRICES.secret + USE.secretCalls * PRICES.secretCall,
    ),
    line(
      'snapshots in S3',
      `${USE.snapshotsKept} nights of ${fileGb} GiB, with ${USE.fileBytes / USE.snapshotPartBytes} parts each`,
      of('AWS::S3::Bucket').length === 0
        ? 0
        : USE.snapshotsKept * fileGb * PRICES.s3PerGb +
            ((NIGHTS * USE.fileBytes) / USE.snapshotPartBytes) * PRICES.s3Put,
    ),
    line(
      'Lambda: the probe',
      `${count(PROBES)} times ${USE.probeSeconds} s with ${memoryMb(probe)} MB on Arm`,
      PROBES * PRICES.lambdaPerRequest + probeGbSeconds * PRICES.lambdaArmPerGbSecond,
    ),
    line(
      'Lambda: the nights',
      `${runs} runs of ${USE.runSeconds} s and ${USE.runOperations} durable operations`,
      runGbSeconds * PRICES.lambdaArmPerGbSecond + runs * USE.runOperations * PRICES.durableOperation,
    ),
    line(
      'Lambda: the rehearsals',
      `${rehearsals * WEEKS} runs of ${USE.rehearsalSeconds} s and ${USE.rehearsalOperations} durable operations`,
      rehearsals *
        WEEKS *
        (USE.rehearsalSeconds * 0.5 * PRICES.lambdaArmPerGbSecond + USE.rehearsalOperations * PRICES.durableOperation),
    ),
    line('X-Ray', traced ? `${count(PROBES)} traces` : '', traced ? PROBES * PRICES.xrayTrace : 0),
    line(
      'logs',
      `${((PROBES * USE.probeLogBytes) / 1e9).toFixed(2)} GB of the probe`,
      ((PROBES * USE.probeLogBytes) / 1e9) * PRICES.logsPerGb,
    ),
    line(
      'DynamoDB',
      `${count(PROBES * USE.probeWriteUnits)} write units of the probe`,
      PROBES * USE.probeWriteUnits * PRICES.dynamoWriteUnit,
    ),
    line(
      'traffic between zones',
      `${trafficGb.toFixed(1)} GB of etcd's metrics, before etcd 3.6.6`,
      trafficGb * PRICES.trafficBetweenZonesPerGb,
    ),
    line('keys of its own', String(of('AWS::KMS::Key').length), of('AWS::KMS::Key').length * PRICES.kmsKey),
    ...interfaceEndpoints(of('AWS::EC2::VPCEndpoint')),
  ];
  return lines.filter(({ dollars }) => dollars > 0);
}

/** As it stands on the page. */
export function costTable(lines: readonly CostLine[]): string {
  const total = lines.reduce((sum, { dollars }) => sum + dollars, 0);
  return [
    '| what | how much | $ a month |',
    '|---|---|---|',
    ...lines.map(({ what, howMuch, dollars }) => `| ${what} | ${howMuch} | ${dollars.toFixed(2)} |`),
    `| **all** | | **${total.toFixed(2)}** |`,
  ].join('\n');
}

function line(what: string, howMuch: string, dollars: number): CostLine {
  return { what, howMuch, dollars };
}

function interfaceEndpoints(endpoints: readonly Resource[]): readonly CostLine[] {
  const zones = endpoints
    .filter(({ Properties }) => Properties?.VpcEndpointType === 'Interface')
    .reduce((sum, { Properties }) => sum + listLength(Properties?.SubnetIds), 0);
  return [line('interface endpoints', `${zones}, each in one zone`, zones * HOURS * PRICES.interfaceEndpoint)];
}

/** CloudWatch counts each metric that an alarm's expression looks at. */
function metricsOf({ Properties }: Resource): number {
  const queries: unknown = Properties?.Metrics;
  if (!Array.isArray(queries)) return 1;
  return queries.filter((query: unknown) => typeof query === 'object' && query !== null && 'MetricStat' in query)
    .length;
}

function memoryMb(resource: Resource | undefined): number {
  const memory = resource?.Properties?.MemorySize;
  if (typeof memory !== 'number') throw new Error('the template has no probe, or one without its memory');
  return memory;
}

function named(properties: Resource['Properties']): string {
  return String(properties?.FunctionName ?? '');
}

function listLength(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}
