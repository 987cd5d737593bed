// Ready-made test events for the Test tab of the Lambda console: orders to dispatch for each workflow, and for the
// other functions the files in events/, the same that the tests are made of.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RemovalPolicy } from 'aws-cdk-lib';
import { CfnRegistry, CfnSchema } from 'aws-cdk-lib/aws-eventschemas';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { functionName } from '../functions/contract/names.ts';
import { WORKFLOW_NAMES, workflowsOf } from '../functions/contract/workflows.ts';
import { projectRoot } from './bundling.ts';

/** Where the console looks. There is one in an account and region, for all functions of all stacks. */
const REGISTRY = 'lambda-testevent-schemas';

/** The cluster that the files are about. */
const SAMPLE_CLUSTER = 'demo';

/**
 * By function, the events' names in the console (25 characters at most) and their files. Not here: dispatch's, which
 * are made of the workflows; the workflows, which are started by dispatch; and samples of alarms: pressed by hand, one
 * of them would start a recovery that no alarm has asked for.
 */
export const CONSOLE_EVENTS = {
  probe: { look: 'probe', 'look-and-keep-nothing': 'probe-dry-run' },
  notify: { 'test-message': 'notify-test' },
  widget: { 'page-dark': 'widget-dark', documentation: 'widget-describe' },
  credentials: { 'issue-etcd': 'issue-etcd', 'issue-kubernetes': 'issue-kubernetes' },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

export type ConsoleFunction = 'dispatch' | keyof typeof CONSOLE_EVENTS;

export interface ConsoleEventsProps {
  readonly cluster: ClusterConfiguration;
  /** Those that the stack has. */
  readonly functions: readonly ConsoleFunction[];
  /**
   * `existing`: somebody has saved a shareable test event in this account and region before, and with the first one the
   * console has made the registry. `create`: nobody has, and no other stack makes it. Where that is wrong, the
   * deployment fails; the registry stays when the stack goes, since it holds other functions' events as well.
   */
  readonly registry: 'create' | 'existing';
}

export class ConsoleEvents extends Construct {
  constructor(scope: Construct, id: string, { cluster, functions, registry }: ConsoleEventsProps) {
    super(scope, id);
    const made = registry === 'create' ? new CfnRegistry(this, 'Registry', { registryName: REGISTRY }) : undefined;
    // A first deployment that fails takes it away again: the next one could not create what is there.
    made?.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    for (const name of functions) {
      const events = eventsOf(cluster, name);
      if (Object.keys(events).length === 0) continue;
      const schema = new CfnSchema(this, name, {
        registryName: REGISTRY,
        schemaName: `_${functionName(cluster.name, name)}-schema`,
        type: 'OpenApi3',
        description: `Test events of ${functionName(cluster.name, name)}, for the Lambda console`,
        content: JSON.stringify(documentOf(events)),
      });
      if (made) schema.node.addDependency(made);
    }
  }
}

/** What can be asked of this cluster's function: its name in the console, and the event. */
export function eventsOf(cluster: ClusterConfiguration, name: ConsoleFunction): Record<string, unknown> {
  if (name === 'dispatch') return ordersTo(cluster);
  const events = Object.entries(CONSOLE_EVENTS[name]).map(([title, file]) => [title, readEvent(file, cluster.name)]);
  return Object.fromEntries(events.filter(([, event]) => isFor(cluster, event)));
}

/** Two a workflow, numbered so that the console lists them in this order. */
function ordersTo(cluster: ClusterConfiguration): Record<string, unknown> {
  const deployed = workflowsOf(cluster);
  const orders = WORKFLOW_NAMES.flatMap((workflow, index) => [
    { title: `${2 * index + 1}-${workflow}-dry-run`, order: { workflow, dryRun: true } },
    { title: `${2 * index + 2}-${workflow}`, order: { workflow } },
  ]);
  const possible = orders.filter(({ order }) => deployed.includes(order.workflow));
  return Object.fromEntries(possible.map(({ title, order }) => [title, order]));
}

function readEvent(file: string, clusterName: string): unknown {
  const event: unknown = JSON.parse(readFileSync(path.join(projectRoot, 'events', `${file}.json`), 'utf8'));
  return JSON.parse(JSON.stringify(event), (key, value: unknown) =>
    key === 'cluster' && value === SAMPLE_CLUSTER ? clusterName : value,
  );
}

/** Not what would be refused: a certificate that is not issued here. */
function isFor({ kubernetes, etcd }: ClusterConfiguration, event: unknown): boolean {
  if (typeof event !== 'object' || event === null) return false;
  const isIssued = (credentials: object | undefined) => credentials !== undefined && 'issued' in credentials;
  return !('issue' in event) || isIssued(event.issue === 'etcd' ? etcd.credentials : kubernetes?.credentials);
}

/** What the console keeps its events in, and finds them by: OpenAPI, whose examples are the events. */
function documentOf(events: Readonly<Record<string, unknown>>): object {
  const examples = Object.fromEntries(Object.entries(events).map(([title, value]) => [title, { value }]));
  return {
    openapi: '3.0.0',
    info: { version: '1.0.0', title: 'Event' },
    paths: {},
    components: { schemas: { Event: { type: 'object' } }, examples },
  };
}
