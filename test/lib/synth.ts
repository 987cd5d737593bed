// Synthesises the app of bin/app.ts in this process, into a folder of its own, with the settings of the real cdk.json.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import * as z from 'zod/mini';
import { projectRoot } from '../../lib/bundling.ts';
import { addClusterStacks } from '../../lib/cluster-stacks.ts';
import type { EtcdMedicStack } from '../../lib/etcd-medic-stack.ts';

/** The context of cdk.json: the clusters that are deployed from this clone, and the CDK's feature flags. */
export const cdkContext = z
  .object({ context: z.looseObject({ clusters: z.unknown() }) })
  .parse(JSON.parse(readFileSync(path.join(projectRoot, 'cdk.json'), 'utf8'))).context;

/** A cluster of the tests' own, because the ones in cdk.json are there to be replaced. */
export const sampleCluster = {
  name: 'demo',
  etcd: {
    endpoints: ['https://10.0.0.11:2379', 'https://10.0.0.12:2379', 'https://10.0.0.13:2379'],
    credentials: { secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:etcd-medic/demo/etcd-4PtGfK' },
  },
  network: {
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    subnetIds: ['subnet-0a1b2c3d4e5f60711', 'subnet-0a1b2c3d4e5f60712', 'subnet-0a1b2c3d4e5f60713'],
    securityGroupId: 'sg-0a1b2c3d4e5f60719',
  },
} as const;

/**
 * The same with a network that the stack opens itself, nodes, an API server, and everything else that can be asked for.
 */
export const fullCluster = {
  ...sampleCluster,
  encryptionKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9',
  nodes: { tag: { key: 'kubernetes.io/cluster/demo', value: 'owned' } },
  kubernetes: {
    server: 'https://10.0.0.10:6443',
    credentials: { secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:etcd-medic/demo/api-x1Y2z3' },
  },
  network: {
    vpcId: sampleCluster.network.vpcId,
    subnetIds: sampleCluster.network.subnetIds,
    controlPlane: ['sg-0a1b2c3d4e5f60720', '10.0.8.0/24'],
    endpoints: true,
    routeTableIds: ['rtb-0a1b2c3d4e5f60730'],
  },
  notify: { emails: ['night@example.com'] },
} as const;

export interface Synthesis extends Disposable {
  readonly app: App;
  readonly stacks: readonly EtcdMedicStack[];
  /** The cloud assembly's folder; removed at the end of the `using` block. */
  readonly folder: string;
  template(stackName?: string): Template;
  /** What AWS Solutions finds fault with and nobody gave a reason for: rule and place. */
  solutionsFindings(): string[];
  /** The CDK's own warnings and errors. */
  annotations(): string[];
}

export interface SynthesisWithBundles extends Synthesis {
  /**
   * The folder that is deployed as a function's code; its handler is the export `handler` of `index.mjs` there.
   * @param name the last part of the function's name: `dispatch`, `recover`
   * @param clusterName @default 'demo', the sample cluster
   */
  assetFolder(name: string, clusterName?: string): string;
}

const WITHOUT_BUNDLES = { 'aws:cdk:bundling-stacks': [] };

/** What a file's tests have synthesised: most ask for the same few. */
const known = new Map<string, Synthesis>();

/** Without esbuild: the templates alone, in a second or two, and the same clusters' again at once. */
export function synth(clusters: unknown = [sampleCluster], prepare?: (stacks: EtcdMedicStack[]) => void): Synthesis {
  if (prepare) return synthesise(clusters, WITHOUT_BUNDLES, prepare);
  const key = JSON.stringify(clusters);
  const synthesis = known.get(key) ?? inMemory(synthesise(clusters, WITHOUT_BUNDLES, () => {}));
  known.set(key, synthesis);
  return synthesis;
}

/** Reads all templates, so that the folder isn't needed any more. */
function inMemory(synthesis: Synthesis): Synthesis {
  using once = synthesis;
  const templates = new Map(once.stacks.map(({ stackName }) => [stackName, once.template(stackName).toJSON()]));
  const first = once.stacks[0]?.stackName ?? '';
  return {
    ...once,
    template(stackName = first) {
      const template = templates.get(stackName);
      if (template === undefined) throw new Error(`there is no stack ${stackName}`);
      return Template.fromJSON(structuredClone(template));
    },
    [Symbol.dispose]: () => {},
  };
}

/** With the very bundles that `cdk deploy` uploads. */
export function synthWithBundles(clusters: unknown = [sampleCluster]): SynthesisWithBundles {
  const synthesis = synthesise(clusters, { 'aws:cdk:enable-asset-metadata': true }, () => {});
  return {
    ...synthesis,
    assetFolder(name, clusterName = 'demo') {
      const functions = synthesis
        .template(`etcd-medic-${clusterName}`)
        .findResources('AWS::Lambda::Function', { Properties: { FunctionName: `etcd-medic-${clusterName}-${name}` } });
      const asset = z.string().parse(Object.values(functions)[0]?.Metadata?.['aws:asset:path']);
      return path.resolve(synthesis.folder, asset);
    },
  };
}

function synthesise(
  clusters: unknown,
  context: Readonly<Record<string, unknown>>,
  prepare: (stacks: EtcdMedicStack[]) => void,
): Synthesis {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-synth-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const app = new App({ outdir: folder, context: { ...cdkContext, ...context, clusters } });
    const stacks = addClusterStacks(app);
    prepare(stacks);
    return {
      app,
      stacks,
      folder,
      template: (stackName = stacks[0]?.stackName ?? '') =>
        Template.fromJSON(app.synth().getStackByName(stackName).template),
      solutionsFindings: () => solutionsFindings(app),
      annotations: () => annotations(app),
      [Symbol.dispose]: remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function solutionsFindings(app: App): string[] {
  return new AwsSolutionsChecks()
    .validateScope(app)
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
    );
}

function annotations(app: App): string[] {
  return app
    .synth()
    .stacks.flatMap((stack) =>
      stack.messages.map(({ level, id, entry }) => `${level} at ${id}: ${String(entry.data)}`),
    );
}
