import { Match, type Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { LAST_TRY_MS, TRY_FOR_MS } from '../../functions/dispatch/start.ts';
import { permissionsOf, TRACING } from './permissions.ts';
import { sampleKubernetes } from './small-stack.ts';
import { sampleCluster, synth } from './synth.ts';

describe('DispatchFunction', () => {
  it('is a plain function outside of the VPC that knows its cluster and the alias of each workflow', () => {
    using synthesis = synth();

    const template = synthesis.template();

    const [recover, maintain] = ['Recover', 'Maintain'].map((workflow) => aliasOf(template, workflow));
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-dispatch',
      Runtime: 'nodejs24.x',
      DurableConfig: Match.absent(),
      VpcConfig: Match.absent(),
      Description: Match.stringLikeRegexp('"dryRun":true'),
      Environment: {
        Variables: {
          ETCD_MEDIC_CLUSTER: Match.serializedJson(Match.objectLike({ name: 'demo' })),
          ETCD_MEDIC_WORKFLOWS: {
            'Fn::Join': ['', ['{"recover":"', { Ref: recover }, '","maintain":"', { Ref: maintain }, '"}']],
          },
          POWERTOOLS_SERVICE_NAME: 'etcd-medic-demo-dispatch',
        },
      },
    });
  });

  it('has the time for every try that it makes while a workflow’s function wakes', () => {
    using synthesis = synth();

    const functions = synthesis
      .template()
      .findResources('AWS::Lambda::Function', { Properties: { FunctionName: 'etcd-medic-demo-dispatch' } });

    const [timeoutMs] = Object.values(functions).map(({ Properties }) => Properties.Timeout * 1_000);
    expect(timeoutMs).toBeGreaterThan(TRY_FOR_MS + LAST_TRY_MS);
  });

  it('knows the alias of prune where there is an API server to prune', () => {
    using synthesis = synth([{ ...sampleCluster, kubernetes: sampleKubernetes }]);

    const template = synthesis.template();

    const [dispatch] = Object.values(
      template.findResources('AWS::Lambda::Function', { Properties: { FunctionName: 'etcd-medic-demo-dispatch' } }),
    );
    const workflows = JSON.stringify(dispatch?.Properties.Environment.Variables.ETCD_MEDIC_WORKFLOWS);
    expect(workflows).toContain(`"prune\\":\\"",{"Ref":"${aliasOf(template, 'Prune')}"}`);
  });

  it('may start these aliases and nothing else', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const permissions = permissionsOf(template, 'etcd-medic-demo-dispatch');

    const [recover, maintain] = ['Recover', 'Maintain'].map((workflow) => aliasOf(template, workflow));
    const [queueId] = Object.keys(template.findResources('AWS::SQS::Queue'));
    const logsId = Object.keys(template.findResources('AWS::Logs::LogGroup')).find((id) => id.startsWith('Dispatch'));
    expect(permissions).toEqual([
      `Allow lambda:InvokeFunction on \${${maintain}}`,
      `Allow lambda:InvokeFunction on \${${recover}}`,
      `Allow logs:CreateLogStream on \${${logsId}.Arn}`,
      `Allow logs:PutLogEvents on \${${logsId}.Arn}`,
      `Allow sqs:SendMessage on \${${queueId}.Arn}`,
      ...TRACING,
    ]);
  });

  it('has descriptions that fit into the 256 characters of Lambda, for the longest name too', () => {
    using synthesis = synth([
      { name: 'a'.repeat(39), etcd: { endpoints: ['http://10.0.0.11:2379'] }, kubernetes: sampleKubernetes },
    ]);

    const functions = Object.values(synthesis.template().findResources('AWS::Lambda::Function'));

    expect(functions.length).toBeGreaterThan(5);
    expect(functions.filter((fn) => fn.Properties.Description.length > 256)).toEqual([]);
    expect(functions.filter((fn) => fn.Properties.FunctionName.length > 64)).toEqual([]);
  });
});

function aliasOf(template: Template, workflow: string): string {
  const id = Object.keys(template.findResources('AWS::Lambda::Alias')).find((each) => each.startsWith(workflow));
  if (id === undefined) throw new Error(`the template has no alias of ${workflow}`);
  return id;
}
