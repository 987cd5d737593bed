import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { documentName } from '../../functions/contract/documents.ts';
import { permissionsOf } from './permissions.ts';
import { sampleCluster, synth } from './synth.ts';

const withNodes = { ...sampleCluster, nodes: { tag: { key: 'cluster', value: 'demo' } } };

describe('NodeCommands', () => {
  it('makes the two documents that the functions send, under the names that they send them by', () => {
    using synthesis = synth([withNodes]);

    const documents = Object.values(synthesis.template().findResources('AWS::SSM::Document'));

    expect(documents.map(({ Properties }) => Properties.Name).sort()).toEqual([
      documentName('demo', 'InspectNode'),
      documentName('demo', 'RestartKubelet'),
    ]);
  });

  it('gives every parameter of every document a pattern from its first character to its last', () => {
    using synthesis = synth([withNodes]);

    const documents = Object.values(synthesis.template().findResources('AWS::SSM::Document'));
    const parameters = documents.flatMap(({ Properties }) => Object.entries(Properties.Content.parameters));

    expect(parameters.map(([name]) => name).sort()).toEqual(['DataDir', 'KubeletUnit', 'KubeletUnit', 'ManifestPath']);
    for (const [, parameter] of parameters) {
      expect(parameter).toMatchObject({ allowedPattern: /^\^[^|]+\$$/, interpolationType: 'ENV_VAR' });
    }
  });

  it('has patterns that take every value that the configuration takes', () => {
    using synthesis = synth([withNodes]);
    const { etcd, nodes } = parseCluster({
      ...withNodes,
      etcd: { ...sampleCluster.etcd, dataDir: '/var/lib/rancher/rke2/server/db/etcd' },
      nodes: { ...withNodes.nodes, kubeletUnit: 'k3s@server.service', manifestPath: '/etc/k8s.d/etcd_1.yaml' },
    });

    const [inspect] = Object.values(
      synthesis.template().findResources('AWS::SSM::Document', { Properties: { Name: 'etcd-medic-demo-InspectNode' } }),
    );

    const given = { DataDir: etcd.dataDir, KubeletUnit: nodes?.kubeletUnit, ManifestPath: nodes?.manifestPath };
    for (const [name, value] of Object.entries(given)) {
      expect(value).toMatch(new RegExp(inspect?.Properties.Content.parameters[name].allowedPattern));
    }
  });

  it('is not there where no nodes are configured, and nothing may be sent to any', () => {
    using synthesis = synth();

    const template = synthesis.template();

    expect(template.findResources('AWS::SSM::Document')).toEqual({});
    expect(permissionsOf(template, 'etcd-medic-demo-recover').filter((line) => line.includes('ssm:'))).toEqual([
      expect.stringContaining('Allow ssm:GetParameter on '),
    ]);
  });

  it("lets no function but recover send anything, and nobody send AWS's own documents", () => {
    using synthesis = synth([withNodes]);

    const template = synthesis.template();

    expect(permissionsOf(template, 'etcd-medic-demo-dispatch').filter((line) => line.includes('ssm:'))).toEqual([]);
    const recover = permissionsOf(template, 'etcd-medic-demo-recover').join('\n');
    expect(recover).toContain('ssm:SendCommand');
    expect(recover).not.toMatch(/AWS-RunShellScript|document\/\*|ssm:\*|SendCommand on \*/);
  });
});
