// Why each role has what it has. Nothing may be granted that has no reason here.

export interface Wildcard {
  readonly roles: readonly string[];
  readonly actions: readonly string[];
  /** As it stands in the policy; see `short`. */
  readonly resource: string;
  readonly reason: string;
}

const ON_ETCD = ['maintain', 'recover'];
const WORKFLOWS = [...ON_ETCD, 'prune'];
const IN_VPC = [...WORKFLOWS, 'credentials', 'probe'];
const ALL = [...IN_VPC, 'dispatch', 'notify', 'widget'];

/** What the function does with it, by action. */
export const WHY: Readonly<Record<string, string>> = {
  'dynamodb:DeleteItem': 'lets go of the lease (R9)',
  'dynamodb:GetItem': 'looks who holds the lease (R9)',
  'dynamodb:PutItem': 'takes the lease (R9), and keeps the report and what the copy was full of',
  'dynamodb:Query': 'reads the reports of earlier runs',
  'dynamodb:UpdateItem': 'renews the lease before each change (R9)',
  'events:PutEvents': "publishes the run's report",
  'lambda:CheckpointDurableExecution': 'records each step (R10)',
  'lambda:GetDurableExecutionState': 'reads what was recorded, to go on there (R10)',
  'lambda:InvokeFunction': 'has stale reports deleted as a part of its own run',
  'logs:CreateLogStream': 'its own log',
  'logs:PutLogEvents': 'its own log',
  's3:AbortMultipartUpload': 'takes back a snapshot that could not be finished',
  's3:ListBucketMultipartUploads': 'finds what a killed run has left of a snapshot',
  's3:PutObject': 'writes the snapshot (R13). It can neither read nor delete one',
  'secretsmanager:GetSecretValue': 'reads the client certificate for etcd',
  'ssm:DescribeInstanceInformation': 'finds the control-plane nodes by their tag',
  'ssm:GetCommandInvocation': 'reads what a node has answered',
  'ssm:GetParameter': 'reads the switch (R16)',
  'ssm:ListCommandInvocations': 'reads how far a command is',
  'ssm:ListCommands': 'looks whether a command was sent already, so that none is sent twice (R10)',
  'sqs:SendMessage': 'keeps an event that it could not deal with',
};

/** Where a role does something else with it than the others. */
export const WHY_HERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  credentials: {
    'secretsmanager:DescribeSecret': 'sees which version is current',
    'secretsmanager:GetSecretValue': 'reads the authority that is trusted, and goes on with a rotation',
    'secretsmanager:PutSecretValue': 'keeps the new certificate and its key',
    'secretsmanager:UpdateSecretVersionStage': 'makes the new one current once it was tried',
    'ssm:SendCommand': 'has a node sign a certificate',
  },
  dispatch: { 'lambda:InvokeFunction': 'starts a workflow' },
  maintain: {
    'dynamodb:Query': "estimates a member's stall from earlier nights, and how fast what fills the database grows",
    'ssm:SendCommand': 'looks at the disks (R6)',
  },
  notify: {
    'dynamodb:DeleteItem': 'frees the lease of a run that died; forgets a message that could not be sent',
    'dynamodb:GetItem': 'looks whether a message was sent',
    'dynamodb:PutItem': 'notes that it is about to send a message',
    'dynamodb:Query': 'looks for the report of a run that died',
    'dynamodb:UpdateItem':
      'notes that a message was sent; keeps the lease of a run that was stopped until nothing of it is at work',
    'events:PutEvents': 'escalates for a run that died',
    'sns:Publish': 'tells people',
  },
  probe: {
    'dynamodb:PutItem': 'keeps its last look for the dashboard',
    'dynamodb:Query': 'reads what the last copy was full of, once an hour',
  },
  prune: {
    'dynamodb:PutItem': 'takes the lease (R9), and keeps the report and which operators there are (R12)',
    'dynamodb:Query': 'reads which operators earlier runs found (R12)',
    'secretsmanager:GetSecretValue': 'reads the credentials for the API server',
  },
  recover: {
    'dynamodb:Query': "reads what the last nights' copies were full of",
    'ssm:SendCommand': 'looks at the disks (R6), restarts kubelets of silent members (R11)',
  },
  widget: { 'dynamodb:GetItem': "reads the probe's last look, and the lease" },
};

const NETWORK = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

/** Those with X-Ray. */
const TRACED = [...WORKFLOWS, 'credentials', 'dispatch', 'notify', 'probe', 'widget'];
const TRACING = ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'];

const KEY_OF_TABLE = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** Granted, and never called by the function's code. */
export const NEVER_CALLED: readonly Omit<Wildcard, 'resource'>[] = [
  {
    roles: ALL,
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    reason: 'Lambda writes what the function prints, in its name.',
  },
  {
    roles: IN_VPC,
    actions: NETWORK,
    reason: "Lambda connects the function to the VPC, in its name. The function's own code is denied it.",
  },
  {
    roles: [...WORKFLOWS, 'dispatch', 'notify'],
    actions: ['sqs:SendMessage'],
    reason: 'Lambda hands events over that the function gave up on, in its name.',
  },
  {
    roles: TRACED,
    actions: TRACING,
    reason: "Lambda writes the function's traces, in its name.",
  },
  {
    roles: [...WORKFLOWS, 'notify', 'probe', 'widget'],
    actions: KEY_OF_TABLE,
    reason:
      'Only with `encryptionKeyArn`: DynamoDB (and for snapshots S3, and for credentials Secrets Manager) uses the key in its name; each statement asks for that service.',
  },
];

/** Every wildcard there is. Nothing else may have one. */
export const WILDCARDS: readonly Wildcard[] = [
  {
    roles: ALL,
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resource: 'logs log-group:<its own>:*',
    reason: "The streams of the function's own log group: the end of every log group's ARN.",
  },
  {
    roles: IN_VPC,
    actions: NETWORK,
    resource: '*',
    reason:
      "ec2:Describe* knows no resources, and an interface's ARN is not known before it exists. Denied where the call comes from the function's own code.",
  },
  {
    roles: TRACED,
    actions: TRACING,
    resource: '*',
    reason: 'The two know no resources. They add to traces and read nothing.',
  },
  {
    roles: WORKFLOWS,
    actions: ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
    resource: 'lambda function:etcd-medic-demo-<function>:*',
    reason: 'A run keeps to the version that it began with, and versions have numbers. Of its own function only.',
  },
  {
    roles: ON_ETCD,
    actions: ['s3:AbortMultipartUpload', 's3:PutObject'],
    resource: 's3 snapshot-bucket/demo/*',
    reason: "A snapshot's name ends in its time and revision. Only under the cluster's name.",
  },
  {
    roles: [...ON_ETCD, 'credentials'],
    actions: ['ssm:SendCommand'],
    resource: 'ec2 instance/*',
    reason:
      "Which instances are the control plane's is said by their tag, which the statement asks for: nodes come and go.",
  },
  {
    roles: [...ON_ETCD, 'credentials'],
    actions: [
      'ssm:DescribeInstanceInformation',
      'ssm:GetCommandInvocation',
      'ssm:ListCommandInvocations',
      'ssm:ListCommands',
    ],
    resource: '*',
    reason:
      'The four know no resources. They change nothing; but they read what any command in the account and region has printed.',
  },
  {
    roles: ['probe'],
    actions: ['ssm:DescribeInstanceInformation'],
    resource: '*',
    reason: 'It knows no resources. It changes nothing.',
  },
  {
    roles: [...ON_ETCD, 'probe'],
    actions: ['secretsmanager:GetSecretValue'],
    resource: 'secretsmanager secret:CredentialsSecretetcd-Ab12Cd-??????',
    reason: 'Secrets Manager ends each ARN in six characters of its own, and many leave them out in a configuration.',
  },
  {
    roles: ['prune'],
    actions: ['secretsmanager:GetSecretValue'],
    resource: 'secretsmanager secret:CredentialsSecretkubernetes-Ab12Cd-??????',
    reason: 'Secrets Manager ends each ARN in six characters of its own, and many leave them out in a configuration.',
  },
];

/** An ARN without what all of them have: `dynamodb table/state-table`. */
export function short(arn: string): string {
  const [, , service, , , ...rest] = arn.split(':');
  return service === undefined ? arn : `${service} ${rest.join(':')}`;
}
