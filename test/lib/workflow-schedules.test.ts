import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { WORKFLOW_NAMES } from '../../functions/contract/workflows.ts';
import { parseTrigger } from '../../functions/dispatch/parse.ts';
import { WorkflowSchedules } from '../../lib/workflow-schedules.ts';
import { text } from './permissions.ts';
import { anyQueue, clusterWith, sampleKubernetes, smallStack } from './small-stack.ts';

const HERE = `arn:\${AWS::Partition}:scheduler:\${AWS::Region}:\${AWS::AccountId}`;

/** Without rehearsals, which have tests of their own. */
function scheduleStack(others: Readonly<Record<string, unknown>> = {}) {
  const cluster = clusterWith({ rehearsal: false, ...others });
  const { template, findings } = smallStack((stack) => {
    const target = new LambdaFunction(stack, 'Dispatch', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline('//'),
    });
    new WorkflowSchedules(stack, 'Schedules', { cluster, target, deadLetterQueue: anyQueue(stack) });
  });
  const schedules = Object.values(template.findResources('AWS::Scheduler::Schedule')).map((each) => each.Properties);
  const [targetId = ''] = Object.keys(template.findResources('AWS::Lambda::Function'));
  const roles = Object.entries(template.findResources('AWS::IAM::Role')).filter(([id]) => id.startsWith('Schedules'));
  return { template, findings, schedules, targetId, roles };
}

describe('WorkflowSchedules', () => {
  it('starts maintenance and pruning at their hours, in their time zones, and not once the night is over', () => {
    const { schedules, targetId, roles } = scheduleStack({
      kubernetes: sampleKubernetes,
      maintain: { schedule: { cron: '15 3 ? * MON-FRI *', timeZone: 'Europe/Berlin' }, windowMinutes: 90 },
      prune: { schedule: { cron: '0 1 * * ? *' } },
    });

    const [roleId] = roles[0] ?? [];
    const target = (lateMinutes: number) => ({
      Arn: { 'Fn::GetAtt': [targetId, 'Arn'] },
      RoleArn: { 'Fn::GetAtt': [roleId, 'Arn'] },
      Input: expect.any(String),
      RetryPolicy: { MaximumEventAgeInSeconds: lateMinutes * 60, MaximumRetryAttempts: 185 },
      DeadLetterConfig: { Arn: 'arn:aws:sqs:eu-central-1:111122223333:dead-letters' },
    });
    expect(schedules).toMatchObject([
      {
        Name: 'etcd-medic-demo-maintain',
        ScheduleExpression: 'cron(15 3 ? * MON-FRI *)',
        ScheduleExpressionTimezone: 'Europe/Berlin',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: target(90),
      },
      {
        Name: 'etcd-medic-demo-prune',
        ScheduleExpression: 'cron(0 1 * * ? *)',
        ScheduleExpressionTimezone: 'UTC',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: target(60),
      },
    ]);
  });

  it.each([
    [
      'neither, because there is no API server to prune and maintenance is by hand',
      { maintain: { schedule: false } },
      [],
    ],
    ['maintenance alone without an API server', {}, ['etcd-medic-demo-maintain']],
    ['both', { kubernetes: sampleKubernetes }, ['etcd-medic-demo-maintain', 'etcd-medic-demo-prune']],
    ['pruning alone', { kubernetes: sampleKubernetes, maintain: { schedule: false } }, ['etcd-medic-demo-prune']],
    [
      'maintenance alone where pruning is by hand',
      { kubernetes: sampleKubernetes, prune: { schedule: false } },
      ['etcd-medic-demo-maintain'],
    ],
  ])('has a schedule for %s', (_, others, names) => {
    const { schedules, roles } = scheduleStack(others);

    expect(schedules.map(({ Name }) => Name)).toEqual(names);
    expect(roles).toHaveLength(names.length > 0 ? 1 : 0);
  });

  it('hands dispatch what dispatch takes: one night is one cause, on every try', () => {
    const { schedules } = scheduleStack({ kubernetes: sampleKubernetes });
    const context = { cluster: 'demo', alarms: [], requestId: 'x', kinds: {} };

    const decisions = schedules.map(({ Name, Target }) => {
      const arn = `arn:aws:scheduler:eu-central-1:111122223333:schedule/default/${Name}`;
      // What Scheduler fills in, in the form that its user guide gives.
      const filled = String(Target.Input)
        .replace('<aws.scheduler.schedule-arn>', arn)
        .replace('<aws.scheduler.scheduled-time>', '2026-11-21T02:30:00Z');
      return parseTrigger(JSON.parse(filled), context);
    });

    expect(decisions.flat()).toEqual(
      ['maintain', 'prune'].map((workflow) => {
        const source = `arn:aws:scheduler:eu-central-1:111122223333:schedule/default/etcd-medic-demo-${workflow}`;
        const at = '2026-11-21T02:30:00.000Z';
        const trigger = { kind: 'schedule', source, at };
        return {
          kind: 'start',
          command: { cluster: 'demo', workflow, trigger, dryRun: false },
          cause: `schedule ${source} ${at}`,
        };
      }),
    );
  });

  it('rehearses every workflow each Tuesday, if nothing else is said', () => {
    const { rehearsal } = clusterWith();

    const { schedules } = scheduleStack({ kubernetes: sampleKubernetes, rehearsal });

    expect(
      schedules
        .filter(({ ScheduleExpression }) => ScheduleExpression === 'cron(0 10 ? * TUE *)')
        .map(({ Name, ScheduleExpressionTimezone, Target }) => [
          Name,
          ScheduleExpressionTimezone,
          Target.RetryPolicy.MaximumEventAgeInSeconds,
        ]),
    ).toEqual(WORKFLOW_NAMES.map((workflow) => [`etcd-medic-demo-dry-${workflow}`, 'UTC', 3_600]));
  });

  it.each([
    ['where nothing runs by night', { maintain: { schedule: false } }, ['dry-recover', 'dry-maintain']],
    ['at a time of one’s own', { rehearsal: { cron: '0 8 ? * WED *' } }, ['maintain', 'dry-recover', 'dry-maintain']],
    ['not where it is switched off', { rehearsal: false }, ['maintain']],
  ])('rehearses %s', (_, others, names) => {
    const { schedules } = scheduleStack({ rehearsal: clusterWith().rehearsal, ...others });

    expect(schedules.map(({ Name }) => Name)).toEqual(names.map((name) => `etcd-medic-demo-${name}`));
  });

  it('hands dispatch a rehearsal as a dry run, and nothing that could act', () => {
    const { schedules } = scheduleStack({
      kubernetes: sampleKubernetes,
      rehearsal: clusterWith().rehearsal,
      maintain: { schedule: false },
      prune: { schedule: false },
    });

    const decisions = schedules.flatMap(({ Name, Target }) => {
      const filled = String(Target.Input)
        .replace('<aws.scheduler.schedule-arn>', `arn:aws:scheduler:eu-central-1:111122223333:schedule/default/${Name}`)
        .replace('<aws.scheduler.scheduled-time>', '2026-11-24T10:00:00Z');
      return parseTrigger(JSON.parse(filled), { cluster: 'demo', alarms: [], requestId: 'x', kinds: {} });
    });

    expect(decisions).toMatchObject(
      WORKFLOW_NAMES.map((workflow) => ({
        kind: 'start',
        command: { workflow, dryRun: true, trigger: { kind: 'schedule', rehearsal: true } },
      })),
    );
  });

  it('lets Scheduler call dispatch and write to the dead-letter queue, for schedules of this account, and nothing else', () => {
    const { roles, targetId } = scheduleStack({ kubernetes: sampleKubernetes });

    const [, role] = roles[0] ?? [];
    expect(
      role?.Properties.Policies.flatMap(
        (policy: { PolicyDocument: { Statement: unknown[] } }) => policy.PolicyDocument.Statement,
      ).map(text),
    ).toEqual([
      `{ Action: lambda:InvokeFunction, Effect: Allow, Resource: \${${targetId}.Arn} }`,
      '{ Action: sqs:SendMessage, Effect: Allow, Resource: arn:aws:sqs:eu-central-1:111122223333:dead-letters }',
    ]);
    expect(role?.Properties.ManagedPolicyArns).toBeUndefined();
    expect(text(role?.Properties.AssumeRolePolicyDocument.Statement)).toBe(
      `[{ Action: sts:AssumeRole, Condition: { StringEquals: { aws:SourceAccount: \${AWS::AccountId}, ` +
        `aws:SourceArn: ${HERE}:schedule-group/default } }, Effect: Allow, Principal: { Service: scheduler.amazonaws.com } }]`,
    );
  });

  it('has names that fit into the 64 characters of Scheduler, for the longest cluster too', () => {
    const { schedules } = scheduleStack({
      name: 'a'.repeat(39),
      kubernetes: sampleKubernetes,
      rehearsal: { cron: '0 10 ? * TUE *' },
    });

    expect(schedules).toHaveLength(5);
    expect(schedules.every(({ Name }) => Name.length <= 64)).toBe(true);
  });

  it('passes AWS Solutions', () => {
    const { findings } = scheduleStack({ kubernetes: sampleKubernetes });

    expect(findings.filter((finding) => finding.includes('Schedules'))).toEqual([]);
  });
});
