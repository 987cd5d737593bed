import { describe, expect, it } from 'vitest';
import { synth } from './synth.ts';

describe('SwitchParameter', () => {
  it('R16: says auto at first, and takes nothing but auto and observe', () => {
    using synthesis = synth();

    const [parameter, ...others] = Object.values(synthesis.template().findResources('AWS::SSM::Parameter'));

    expect(others).toEqual([]);
    const { Name, Type, Value, AllowedPattern } = parameter?.Properties ?? {};
    expect({ Name, Type, Value }).toEqual({ Name: '/etcd-medic/demo/mode', Type: 'String', Value: 'auto' });
    const pattern = new RegExp(AllowedPattern);
    expect(['auto', 'observe'].filter((value) => !pattern.test(value))).toEqual([]);
    expect(['', 'off', 'Auto', 'autos', 'observe ', 'auto\nobserve'].filter((value) => pattern.test(value))).toEqual(
      [],
    );
  });

  it('R16: tells in its own description and in an output how a person turns it with one command', () => {
    using synthesis = synth();

    const template = synthesis.template();

    const command = 'aws ssm put-parameter --overwrite --name /etcd-medic/demo/mode --value observe';
    const [parameter] = Object.values(template.findResources('AWS::SSM::Parameter'));
    expect(parameter?.Properties.Description).toContain(command);
    expect(template.findOutputs('*').SwitchParameterName?.Description).toContain(command);
  });

  it('R16: stays as a person has set it when the configuration changes: no deployment writes it again', () => {
    using before = synth();
    using after = synth([{ name: 'demo', etcd: { endpoints: ['http://10.0.0.11:2379'] }, snapshot: false }]);

    const [parametersBefore, parametersAfter] = [before, after].map((synthesis) =>
      synthesis.template().findResources('AWS::SSM::Parameter'),
    );

    expect(parametersAfter).toEqual(parametersBefore);
  });
});
