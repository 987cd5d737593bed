import { Stack } from 'aws-cdk-lib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { checkArns } from '../../lib/regions.ts';
import { appOfTest, clusterWith, sampleKubernetes } from './small-stack.ts';
import { sampleCluster, synth } from './synth.ts';

const topic = (name: string, region = 'eu-central-1') => `arn:aws:sns:${region}:111122223333:${name}`;
const topics = (count: number) => Array.from({ length: count }, (_, index) => topic(`team-${index}`));
/** All that a configuration may name by its ARN, without a word about topics. */
const inFrankfurt = {
  encryptionKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9',
  kubernetes: sampleKubernetes,
};

afterEach(() => {
  vi.unstubAllEnvs();
});

function problemsOf(others: object, region?: string): readonly string[] {
  const stack = new Stack(appOfTest(), 'small', region === undefined ? {} : { env: { region } });
  try {
    checkArns(stack, clusterWith({ ...others }), 'cluster "demo"');
    return [];
  } catch (error) {
    if (error instanceof InvalidInputError) return error.problems;
    throw error;
  }
}

describe('what a configuration names by its ARN', () => {
  it('may be four topics, one of them named twice, for with the stack’s own an alarm has five actions', () => {
    const topicArns = [...topics(4), topic('team-0')];

    expect(problemsOf({ notify: { topicArns } })).toEqual([]);
    using synthesis = synth([{ ...sampleCluster, notify: { topicArns } }]);
    const actions = Object.values(synthesis.template().findResources('AWS::CloudWatch::Alarm')).map(
      ({ Properties }) => Properties.AlarmActions.length,
    );
    expect(new Set(actions)).toEqual(new Set([5]));
  });

  it('is refused at synth where it is five topics, naming the field', () => {
    expect(() => synth([{ ...sampleCluster, notify: { topicArns: topics(5) } }])).toThrow(
      /^cluster "demo": notify\.topicArns: found 5 topics, expected at most 4, because an alarm takes five actions/,
    );
  });

  it('is refused where a topic is in another region than the rest, wherever the stack goes', () => {
    const topicArns = [topic('a'), topic('b', 'us-east-1')];

    expect(problemsOf({ ...inFrankfurt, notify: { topicArns } })).toEqual([
      `notify.topicArns[1]: found "${topicArns[1]}", expected an ARN of region eu-central-1, as encryptionKeyArn is: the stack is in one region`,
    ]);
  });

  it('is refused where it is of another region than the stack’s own', () => {
    const problems = problemsOf({ ...inFrankfurt, notify: { topicArns: [topic('a')] } }, 'us-east-1');

    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'encryptionKeyArn',
      'etcd.credentials.secretArn',
      'kubernetes.credentials.secretArn',
      'notify.topicArns[0]',
    ]);
    expect(problems[3]).toContain('expected an ARN of region us-east-1, where the stack is deployed');
  });

  it.each(['eu-central-1', undefined])(
    'goes by the stack’s own region (%s), whatever the command line says',
    (region) => {
      vi.stubEnv('CDK_DEFAULT_REGION', 'us-east-1');

      expect(problemsOf({ ...inFrankfurt, notify: { topicArns: [topic('a')] } }, region)).toEqual([]);
    },
  );
});
