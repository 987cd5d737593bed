import { describe, expect, it } from 'vitest';
import { permissionsOf, text } from './permissions.ts';
import { sampleCluster, synth } from './synth.ts';

const issued = { credentials: { issued: true } };
const cluster = {
  ...sampleCluster,
  etcd: { ...sampleCluster.etcd, ...issued },
  kubernetes: { server: 'https://10.0.0.10:6443', ...issued },
  nodes: { tag: { key: 'cluster', value: 'demo' } },
};

describe('a cluster whose certificates are issued', () => {
  it('has no finding of AWS Solutions and no warning of the CDK', () => {
    using synthesis = synth([cluster]);

    expect(synthesis.solutionsFindings()).toEqual([]);
    expect(synthesis.annotations()).toEqual([]);
  });

  it('has functions that are given the secrets that the stack makes, and may read those', () => {
    using synthesis = synth([cluster]);

    const template = synthesis.template();

    for (const [name, purpose] of Object.entries({
      recover: 'etcd',
      maintain: 'etcd',
      probe: 'etcd',
      prune: 'kubernetes',
    })) {
      const [fn] = Object.values(
        template.findResources('AWS::Lambda::Function', { Properties: { FunctionName: `etcd-medic-demo-${name}` } }),
      );
      const { [purpose]: part } = JSON.parse(text(fn?.Properties.Environment.Variables.ETCD_MEDIC_CLUSTER));
      expect(part.credentials.secretArn).toMatch(`\${CredentialsSecret${purpose}`);
      expect(permissionsOf(template, `etcd-medic-demo-${name}`)).toContain(
        `Allow secretsmanager:GetSecretValue on ${part.credentials.secretArn}`,
      );
    }
  });

  it('has nodes to sign them', () => {
    const { nodes: _, ...without } = cluster;

    expect(() => synth([without])).toThrow('[0].nodes: found nothing, expected the nodes that sign the certificates');
  });
});
