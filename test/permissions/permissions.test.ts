// What each function's role may do and what it may not, worked out from the template as IAM would.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isAllowed, type Request, type Statement } from './iam.ts';
import { PAGE, permissionsPage } from './page.ts';
import { NEVER_CALLED, short, WHY, WHY_HERE, WILDCARDS } from './reasons.ts';
import { KEY, sampleDeployed } from './stack.ts';

const deployed = sampleDeployed();
const ROLES = [...deployed.functions.keys()].toSorted();
const ON_ETCD = ['maintain', 'recover'];
const WORKFLOWS = ['maintain', 'prune', 'recover'];

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:111122223333:${rest}`;
const functionArn = (name: string) => arn('lambda', `function:etcd-medic-demo-${name}`);
const document = (name: string) => arn('ssm', `document/${name}`);
const table = (name = 'state-table') => arn('dynamodb', `table/${name}`);
const state = (action: string, clusters = ['demo'], name?: string): Request => ({
  action: `dynamodb:${action}`,
  resource: table(name),
  conditions: { 'dynamodb:LeadingKeys': clusters },
});
const instance = (tags: Readonly<Record<string, string>>): Request => ({
  action: 'ssm:SendCommand',
  resource: arn('ec2', 'instance/i-0123456789abcdef0'),
  conditions: Object.fromEntries(Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, [value]])),
});
const events = (source: string, bus = 'default'): Request => ({
  action: 'events:PutEvents',
  resource: arn('events', `event-bus/${bus}`),
  conditions: { 'events:source': [source] },
});
const throughService = (action: string, service: string): Request => ({
  action,
  resource: KEY,
  conditions: { 'kms:ViaService': [`${service}.eu-west-1.amazonaws.com`] },
});
const plain = (action: string, resource: string): Request => ({ action, resource });

/** Made by the stack, for what is issued. */
const [ETCD_SECRET = '', API_SECRET = ''] = ['etcd', 'kubernetes'].map((purpose) =>
  arn('secretsmanager', `secret:CredentialsSecret${purpose}-Ab12Cd`),
);
const SWITCH = arn('ssm', 'parameter/etcd-medic/demo/mode');
const TOPIC = arn('sns', 'etcd-medic-demo');
const SNAPSHOT = 'arn:aws:s3:::snapshot-bucket/demo/20260301T020000Z-7.db';

/** The roles that may, when the call comes from the function's own code. */
function whoMay({ action, resource, conditions }: Request): string[] {
  return ROLES.filter((role) => {
    const given = { ...conditions, 'lambda:SourceFunctionArn': [functionArn(role)] };
    return isAllowed(statementsOf(role), { action, resource, conditions: given });
  });
}

function statementsOf(role: string): readonly Statement[] {
  const found = deployed.functions.get(role);
  if (found === undefined) throw new RangeError(`no function ${role}`);
  return found.statements;
}

/** `action on resource`, by role. */
function granted(role: string): { readonly action: string; readonly resource: string }[] {
  return statementsOf(role)
    .filter(({ effect }) => effect === 'Allow')
    .flatMap(({ actions, resources }) =>
      actions.flatMap((action) => resources.map((resource) => ({ action, resource }))),
    );
}

describe('who may do what', () => {
  it.each<[string, Request, readonly string[]]>([
    ['restart a kubelet', plain('ssm:SendCommand', document('etcd-medic-demo-RestartKubelet')), ['recover']],
    ['look at a node', plain('ssm:SendCommand', document('etcd-medic-demo-InspectNode')), ON_ETCD],
    [
      'have a certificate signed',
      plain('ssm:SendCommand', document('etcd-medic-demo-SignClientCertificate')),
      ['credentials'],
    ],
    ["send to the cluster's nodes", instance({ 'etcd-medic/cluster': 'demo' }), ['credentials', ...ON_ETCD]],
    ['find the nodes', plain('ssm:DescribeInstanceInformation', '*'), ['credentials', ...ON_ETCD, 'probe']],
    ['read the switch', plain('ssm:GetParameter', SWITCH), [...WORKFLOWS, 'widget']],
    [
      "read etcd's credentials",
      plain('secretsmanager:GetSecretValue', ETCD_SECRET),
      ['credentials', ...ON_ETCD, 'probe'],
    ],
    ["read the API server's credentials", plain('secretsmanager:GetSecretValue', API_SECRET), ['credentials', 'prune']],
    ["renew etcd's credentials", plain('secretsmanager:PutSecretValue', ETCD_SECRET), ['credentials']],
    ["renew the API server's credentials", plain('secretsmanager:PutSecretValue', API_SECRET), ['credentials']],
    ['take the lease', state('PutItem'), [...ON_ETCD, 'notify', 'probe', 'prune']],
    ['renew the lease', state('UpdateItem'), [...ON_ETCD, 'notify', 'prune']],
    ['let go of the lease', state('DeleteItem'), [...ON_ETCD, 'notify', 'prune']],
    ['read the lease', state('GetItem'), [...ON_ETCD, 'notify', 'prune', 'widget']],
    ['read the history', state('Query'), [...ON_ETCD, 'notify', 'probe', 'prune', 'widget']],
    ['write a snapshot', plain('s3:PutObject', SNAPSHOT), ON_ETCD],
    ['take a snapshot back', plain('s3:AbortMultipartUpload', SNAPSHOT), ON_ETCD],
    ['list unfinished snapshots', plain('s3:ListBucketMultipartUploads', 'arn:aws:s3:::snapshot-bucket'), ON_ETCD],
    ['start pruning', plain('lambda:InvokeFunction', functionArn('prune:live')), ['dispatch', ...ON_ETCD]],
    ['start a recovery', plain('lambda:InvokeFunction', functionArn('recover:live')), ['dispatch']],
    ['start maintenance', plain('lambda:InvokeFunction', functionArn('maintain:live')), ['dispatch']],
    ['publish an event', events('etcd-medic'), [...ON_ETCD, 'notify', 'prune']],
    ['tell people', plain('sns:Publish', TOPIC), ['notify']],
    ['tell people on call', plain('sns:Publish', arn('sns', 'on-call')), ['notify']],
    ['use the key for snapshots', throughService('kms:GenerateDataKey', 's3'), ON_ETCD],
    [
      'use the key for the table',
      throughService('kms:Decrypt', 'dynamodb'),
      [...WORKFLOWS, 'notify', 'probe', 'widget'],
    ],
    ['write to the log', plain('logs:PutLogEvents', arn('logs', 'log-group:RecoverLogs:log-stream:1')), ['recover']],
  ])('%s', (_, request, roles) => {
    expect(whoMay(request).toSorted()).toEqual(roles.toSorted());
  });

  it.each(WORKFLOWS)('record steps of a %s: that function alone', (workflow) => {
    const execution = `${functionArn(workflow)}:7/durable-execution/recover-demo-1/2`;

    for (const action of ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState']) {
      expect(whoMay(plain(action, execution))).toEqual([workflow]);
    }
  });
});

describe('what nobody may do', () => {
  it.each<[string, Request]>([
    ['run a shell script', plain('ssm:SendCommand', 'arn:aws:ssm:eu-west-1::document/AWS-RunShellScript')],
    ['run its own copy of it', plain('ssm:SendCommand', document('AWS-RunShellScript'))],
    ["run another cluster's document", plain('ssm:SendCommand', document('etcd-medic-other-RestartKubelet'))],
    ['send to an instance without the tag', instance({})],
    ["send to another cluster's instance", instance({ 'etcd-medic/cluster': 'other' })],
    ['send to an instance with the value under another key', instance({ Name: 'demo' })],
    ['send to a node outside of EC2', plain('ssm:SendCommand', arn('ssm', 'managed-instance/mi-0123456789abcdef0'))],
    ['open a session', plain('ssm:StartSession', arn('ec2', 'instance/i-0123456789abcdef0'))],
    ['cancel a command', plain('ssm:CancelCommand', '*')],
    ['turn the switch', plain('ssm:PutParameter', SWITCH)],
    ['delete the switch', plain('ssm:DeleteParameter', SWITCH)],
    ["read another cluster's switch", plain('ssm:GetParameter', arn('ssm', 'parameter/etcd-medic/demo-2/mode'))],
    ['read any other parameter', plain('ssm:GetParameter', arn('ssm', 'parameter/database/password'))],
    ['read parameters by path', plain('ssm:GetParametersByPath', arn('ssm', 'parameter/etcd-medic/demo/mode'))],
    [
      "read another cluster's secret",
      plain('secretsmanager:GetSecretValue', arn('secretsmanager', 'secret:etcd-medic/demo-2/etcd-4PtGfK')),
    ],
    ['read a secret whose name goes on', plain('secretsmanager:GetSecretValue', `${ETCD_SECRET}-old-4PtGfK`)],
    [
      'write over another secret',
      plain('secretsmanager:PutSecretValue', arn('secretsmanager', 'secret:database-4PtGfK')),
    ],
    ['delete a secret', plain('secretsmanager:DeleteSecret', ETCD_SECRET)],
    ['list secrets', plain('secretsmanager:ListSecrets', '*')],
    ...['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem', 'Query'].flatMap((action): [string, Request][] => [
      [`${action} of another cluster`, state(action, ['other'])],
      [`${action} of this and another cluster`, state(action, ['demo', 'other'])],
      [`${action} in another table`, state(action, ['demo'], 'other')],
    ]),
    ['scan the table', state('Scan')],
    ['scan the table, without keys', plain('dynamodb:Scan', table())],
    ['write in batches', state('BatchWriteItem')],
    ['read by PartiQL', state('PartiQLSelect')],
    ['delete the table', plain('dynamodb:DeleteTable', table())],
    ['change the table', plain('dynamodb:UpdateTable', table())],
    ['read a snapshot', plain('s3:GetObject', SNAPSHOT)],
    ["read a snapshot's version", plain('s3:GetObjectVersion', SNAPSHOT)],
    ['delete a snapshot', plain('s3:DeleteObject', SNAPSHOT)],
    ["delete a snapshot's version", plain('s3:DeleteObjectVersion', SNAPSHOT)],
    ['list snapshots', plain('s3:ListBucket', 'arn:aws:s3:::snapshot-bucket')],
    ["write another cluster's snapshot", plain('s3:PutObject', 'arn:aws:s3:::snapshot-bucket/demo-2/a.db')],
    ['write beside the snapshots', plain('s3:PutObject', 'arn:aws:s3:::snapshot-bucket/a.db')],
    ['write into another bucket', plain('s3:PutObject', 'arn:aws:s3:::other-bucket/demo/a.db')],
    ['open the bucket', plain('s3:PutBucketPolicy', 'arn:aws:s3:::snapshot-bucket')],
    ['change when snapshots expire', plain('s3:PutLifecycleConfiguration', 'arn:aws:s3:::snapshot-bucket')],
    ...['dispatch', 'probe', 'notify', 'widget', 'credentials', 'recover', 'recover:7', 'prune'].map(
      (name): [string, Request] => [`invoke ${name}`, plain('lambda:InvokeFunction', functionArn(name))],
    ),
    [
      "invoke another cluster's recovery",
      plain('lambda:InvokeFunction', arn('lambda', 'function:etcd-medic-other-recover:live')),
    ],
    ['replace code', plain('lambda:UpdateFunctionCode', functionArn('recover'))],
    ['stop a run', plain('lambda:StopDurableExecution', `${functionArn('recover')}:7/durable-execution/a/b`)],
    [
      "record steps of another cluster's run",
      plain(
        'lambda:CheckpointDurableExecution',
        `${arn('lambda', 'function:etcd-medic-other-recover')}:7/durable-execution/a/b`,
      ),
    ],
    ['publish as AWS', events('aws.cloudwatch')],
    ['publish to another bus', events('etcd-medic', 'other')],
    ['publish without a source', plain('events:PutEvents', arn('events', 'event-bus/default'))],
    ['change a rule', plain('events:DisableRule', arn('events', 'rule/etcd-medic-demo'))],
    ['tell another topic', plain('sns:Publish', arn('sns', 'etcd-medic-other'))],
    ['subscribe to the topic', plain('sns:Subscribe', TOPIC)],
    ['send a text message', plain('sns:Publish', '*')],
    ['fill another queue', plain('sqs:SendMessage', arn('sqs', 'other'))],
    ['empty the dead-letter queue', plain('sqs:PurgeQueue', arn('sqs', 'DeadLetters'))],
    [
      "write another function's log",
      plain('logs:PutLogEvents', arn('logs', 'log-group:/aws/lambda/other:log-stream:1')),
    ],
    ['delete a log', plain('logs:DeleteLogGroup', arn('logs', 'log-group:RecoverLogs:*'))],
    ['make a role', plain('iam:CreateRole', 'arn:aws:iam::111122223333:role/etcd-medic')],
    ['widen a role', plain('iam:PutRolePolicy', 'arn:aws:iam::111122223333:role/etcd-medic')],
    ['hand a role on', plain('iam:PassRole', 'arn:aws:iam::111122223333:role/etcd-medic')],
    ['become somebody else', plain('sts:AssumeRole', 'arn:aws:iam::111122223333:role/admin')],
    ['start an instance', plain('ec2:RunInstances', arn('ec2', 'instance/*'))],
    ['end an instance', plain('ec2:TerminateInstances', arn('ec2', 'instance/i-0123456789abcdef0'))],
    [
      'make a network interface by its own code',
      plain('ec2:CreateNetworkInterface', arn('ec2', 'network-interface/*')),
    ],
    [
      'delete a network interface by its own code',
      plain('ec2:DeleteNetworkInterface', arn('ec2', 'network-interface/eni-1')),
    ],
    ['look at network interfaces by its own code', plain('ec2:DescribeNetworkInterfaces', '*')],
    ['silence an alarm', plain('cloudwatch:DisableAlarmActions', arn('cloudwatch', 'alarm:etcd-medic-demo-nospace'))],
    ["decrypt by the user's key, but through a service", plain('kms:Decrypt', KEY)],
    ["decrypt by the user's key through another service", throughService('kms:Decrypt', 'ssm')],
    ['decrypt by another key', { ...throughService('kms:Decrypt', 'dynamodb'), resource: arn('kms', 'key/1') }],
    ["delete the user's key", throughService('kms:ScheduleKeyDeletion', 'dynamodb')],
    ["hand the user's key on", throughService('kms:CreateGrant', 'dynamodb')],
    ['read traces', plain('xray:BatchGetTraces', '*')],
  ])('%s', (_, request) => {
    expect(whoMay(request)).toEqual([]);
  });

  it('Lambda itself may make the network interfaces, where a function is in the VPC', () => {
    const request = plain('ec2:CreateNetworkInterface', arn('ec2', 'network-interface/*'));

    const roles = ROLES.filter((role) => isAllowed(statementsOf(role), request));

    expect(roles).toEqual(['credentials', 'maintain', 'probe', 'prune', 'recover']);
  });
});

describe('credentials that a person has made', () => {
  const [etcd, api] = ['etcd', 'api'].map((name) => arn('secretsmanager', `secret:etcd-medic/demo/${name}-4PtGfK`));
  const { functions } = sampleDeployed({
    etcd: { credentials: { secretArn: etcd } },
    // As many write it, and as the console shows it: without the last six characters.
    kubernetes: { server: 'https://10.0.0.10:6443', credentials: { secretArn: api?.replace('-4PtGfK', '') } },
  });
  const may = (action: string, resource = '') =>
    [...functions].filter(([, { statements }]) => isAllowed(statements, { action, resource })).map(([role]) => role);

  it('are read by the functions that use them, and written by nobody', () => {
    expect(may('secretsmanager:GetSecretValue', etcd).toSorted()).toEqual(['maintain', 'probe', 'recover']);
    expect(may('secretsmanager:GetSecretValue', api)).toEqual(['prune']);
    for (const action of ['PutSecretValue', 'UpdateSecret', 'DeleteSecret', 'UpdateSecretVersionStage']) {
      expect([etcd, api].flatMap((secret) => may(`secretsmanager:${action}`, secret))).toEqual([]);
    }
  });

  it('are not mistaken for those whose names begin alike', () => {
    for (const name of ['etcd-old-4PtGfK', 'etcd-4PtGfKx', 'api-old-4PtGfK', 'api-2']) {
      expect(may('secretsmanager:GetSecretValue', arn('secretsmanager', `secret:etcd-medic/demo/${name}`))).toEqual([]);
    }
  });
});

describe('the schedules’ role', () => {
  it('starts dispatch, keeps what could not be started, and may do nothing else; there is no further role', () => {
    expect([...deployed.otherRoles.keys()]).toEqual(['SchedulesRole']);
    const statements = deployed.otherRoles.get('SchedulesRole') ?? [];

    const lines = statements.map(({ effect, actions, resources }) => [effect, actions, resources]);
    expect(lines).toEqual([
      ['Allow', ['lambda:InvokeFunction'], [functionArn('dispatch')]],
      ['Allow', ['sqs:SendMessage'], [arn('sqs', 'DeadLetters')]],
    ]);
  });
});

describe('wildcards', () => {
  it.each(ROLES)('%s has those that a reason is written for, and no other', (role) => {
    const found = granted(role)
      .filter(({ action, resource }) => /[*?]/.test(`${action}${resource}`))
      .map(({ action, resource }) => `${action} on ${short(resource)}`);

    const named = WILDCARDS.filter(({ roles }) => roles.includes(role)).flatMap(({ actions, resource }) =>
      actions.map((action) => `${action} on ${resource.replace('<function>', role)}`),
    );
    expect(found.map(withoutLogGroup).toSorted()).toEqual(named.toSorted());
  });
});

/** Which log group it is, is CloudFormation's to say. */
function withoutLogGroup(line: string): string {
  return line.replace(/log-group:\w+:/, 'log-group:<its own>:');
}

describe('docs/permissions.md', () => {
  it('has a reason for everything that is granted, and none for what is not', () => {
    const roles = ROLES.flatMap((role) => granted(role).map(({ action }) => ({ role, action })));
    const reasonless = roles.filter(
      ({ role, action }) =>
        WHY_HERE[role]?.[action] === undefined &&
        WHY[action] === undefined &&
        !NEVER_CALLED.some((each) => each.roles.includes(role) && each.actions.includes(action)),
    );
    const idle = Object.entries(WHY_HERE).flatMap(([role, reasons]) =>
      Object.keys(reasons).filter((action) => !roles.some((each) => each.role === role && each.action === action)),
    );

    const unused = NEVER_CALLED.flatMap(({ roles: named, actions }) =>
      named.flatMap((role) =>
        actions
          .filter((action) => !roles.some((each) => each.role === role && each.action === action))
          .map((action) => ({ role, action })),
      ),
    );

    expect(reasonless).toEqual([]);
    expect(unused).toEqual([]);
    expect(idle).toEqual([]);
    expect(Object.keys(WHY).filter((action) => !roles.some((each) => each.action === action))).toEqual([]);
  });

  it('says what the template says; otherwise run `npx node test/permissions/page.ts`', () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(permissionsPage(deployed));
  });
});
