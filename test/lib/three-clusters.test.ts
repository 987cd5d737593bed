// What each preset makes of an app with three clusters: their templates, side by side.
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { PRESETS } from '../../functions/contract/presets.ts';
import { authoritiesOf } from '../../lib/presets.ts';
import { text } from './permissions.ts';
import { fullCluster, sampleCluster, synth } from './synth.ts';
import { identitiesIn, nameOf } from './upgrade/identity.ts';

const tag = { key: 'cluster', value: 'demo' };
const { credentials } = sampleCluster.etcd;

describe.each(['kubeadm', 'rke2', 'k3s', 'kops-main', 'kops-events'] as const)(
  'an app of three clusters of %s',
  (preset) => {
    const nodes = preset.startsWith('kops') ? undefined : { tag };
    /** The largest, one with a security group and certificates of its own making, and one with nothing but etcd. */
    const clusters = [
      {
        ...fullCluster,
        name: 'largest',
        preset,
        nodes,
        etcd: { credentials, ...found() },
        console: { registry: 'create' },
      },
      {
        ...sampleCluster,
        name: 'largest-recover',
        preset,
        nodes,
        etcd: nodes ? { credentials: { issued: true } } : sampleCluster.etcd,
        console: { registry: 'existing' },
      },
      { name: 'largest-prune', preset, etcd: { endpoints: ['http://10.0.0.11:2379'] } },
    ];
    const { clientPort, kubeletUnit, manifestPath, dataDir = '/var/lib/etcd' } = PRESETS[preset];
    const stackOf = (name: string) => synth(clusters).template(`etcd-medic-${name}`);

    /** By their nodes where there are any, and as kOps names its members where there are none. */
    function found() {
      const member = preset === 'kops-events' ? 'etcd-events-a' : 'etcd-a';
      return nodes ? {} : { endpoints: [`https://${member}.internal.demo.example.com:${PRESETS[preset].clientPort}`] };
    }

    it('has no finding of AWS Solutions and no warning of the CDK', () => {
      using synthesis = synth(clusters);

      expect(synthesis.solutionsFindings()).toEqual([]);
      expect(synthesis.annotations()).toEqual([]);
    });

    it('has each cluster’s own settings in all of its functions', () => {
      for (const written of clusters) {
        const functions = Object.values(stackOf(written.name).findResources('AWS::Lambda::Function'));
        const configured = functions.map(({ Properties }) => [
          Properties.FunctionName,
          ...settingsIn(Properties.Environment.Variables.ETCD_MEDIC_CLUSTER),
        ]);

        const unit = 'nodes' in written && written.nodes ? [kubeletUnit, manifestPath] : [undefined, undefined];
        expect(configured).toEqual(
          functions.map(({ Properties }) => [Properties.FunctionName, preset, clientPort, dataDir, ...unit]),
        );
        expect(functions.length).toBeGreaterThanOrEqual(6);
      }
    });

    it('opens exactly etcd’s port and the API server’s in the control plane’s group, and nothing where the group is the user’s', () => {
      const [controlPlane] = fullCluster.network.controlPlane;

      const opened = ['largest', 'largest-recover', 'largest-prune'].map((name) =>
        Object.values(stackOf(name).findResources('AWS::EC2::SecurityGroupIngress'))
          .map(({ Properties }) => Properties)
          .filter(({ GroupId }) => GroupId === controlPlane)
          .map(({ IpProtocol, FromPort, ToPort }) => [IpProtocol, FromPort, ToPort]),
      );

      expect(opened).toEqual([
        [
          ['tcp', clientPort, clientPort],
          ['tcp', 6443, 6443],
        ],
        [],
        [],
      ]);
    });

    it('has documents that take its unit, data folder and manifest, in each stack that has nodes', () => {
      const documents = Object.values(stackOf('largest').findResources('AWS::SSM::Document')).map(
        ({ Properties: { Name, Content } }) => [Name, patternsOf(Content.parameters)] as const,
      );

      expect(stackOf('largest-prune').findResources('AWS::SSM::Document')).toEqual({});
      expect(documents.map(([name]) => name).sort()).toEqual(
        nodes ? ['etcd-medic-largest-InspectNode', 'etcd-medic-largest-RestartKubelet'] : [],
      );
      for (const [, { KubeletUnit, DataDir, ManifestPath }] of documents) {
        expect(kubeletUnit).toMatch(KubeletUnit ?? /never/);
        if (DataDir) expect(dataDir).toMatch(DataDir);
        if (ManifestPath) expect(manifestPath).toMatch(ManifestPath);
      }
    });

    it('has certificates signed by its own authorities', () => {
      const signing = { FunctionName: 'etcd-medic-largest-recover-credentials' };
      const functions = stackOf('largest-recover').findResources('AWS::Lambda::Function', { Properties: signing });

      const issued = Object.values(functions).map(({ Properties }) =>
        JSON.parse(Properties.Environment.Variables.ETCD_MEDIC_ISSUED),
      );

      expect(issued).toEqual(nodes ? [{ etcd: authoritiesOf(parseCluster({ ...sampleCluster, preset })).etcd }] : []);
    });

    it('has no two things of one name, though a cluster’s name goes on like a function’s', () => {
      const named = clusters
        .flatMap(({ name }) => Object.values(identitiesIn(stackOf(name).toJSON())))
        .flatMap((resource) => (nameOf(resource) === undefined ? [] : [`${resource.Type} ${nameOf(resource)}`]));

      expect(named.length).toBeGreaterThan(60);
      expect(named.filter((each, index) => named.indexOf(each) !== index)).toEqual([]);
    });
  },
);

/** A secret that the stack makes is a reference in the text: the rest of it is as it was. */
function settingsIn(variable: unknown): unknown[] {
  const { preset, etcd, nodes } = JSON.parse(text(variable));
  return [preset, etcd.clientPort, etcd.dataDir, nodes?.kubeletUnit, nodes?.manifestPath];
}

function patternsOf(parameters: Readonly<Record<string, { allowedPattern: string }>>): Record<string, RegExp> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { allowedPattern }]) => [name, new RegExp(allowedPattern)]),
  );
}
