// The evaluator itself, against what IAM's reference says of each element.
import { describe, expect, it } from 'vitest';
import { type Condition, isAllowed, matchesArn, type Statement } from './iam.ts';

const TABLE = 'arn:aws:dynamodb:eu-west-1:111122223333:table/state';

function statement(changes: Partial<Statement> = {}): Statement {
  return { effect: 'Allow', actions: ['dynamodb:GetItem'], resources: [TABLE], conditions: [], ...changes };
}

describe('what a role may do', () => {
  it.each<[string, readonly Statement[], boolean]>([
    ['nothing is granted', [], false],
    ['it is granted', [statement()], true],
    ['it is granted in another spelling of the action', [statement({ actions: ['DynamoDB:getitem'] })], true],
    ['it is granted by a wildcard', [statement({ actions: ['dynamodb:Get*'] })], true],
    ['another action is granted', [statement({ actions: ['dynamodb:PutItem'] })], false],
    ['another resource is granted', [statement({ resources: [`${TABLE}-2`] })], false],
    ['it is granted and denied', [statement(), statement({ effect: 'Deny' })], false],
    ['something else is denied', [statement(), statement({ effect: 'Deny', resources: [`${TABLE}-2`] })], true],
  ])('where %s', (_, statements, allowed) => {
    expect(isAllowed(statements, { action: 'dynamodb:GetItem', resource: TABLE })).toBe(allowed);
  });

  it.each([
    ['*', TABLE, true],
    ['arn:aws:s3:::bucket/demo/*', 'arn:aws:s3:::bucket/demo/a/b.db', true],
    ['arn:aws:s3:::bucket/demo/*', 'arn:aws:s3:::bucket/demo-2/b.db', false],
    ['arn:aws:s3:::bucket/*', 'arn:aws:s3:::bucket', false],
    ['arn:aws:secretsmanager:eu-west-1:1:secret:a-??????', 'arn:aws:secretsmanager:eu-west-1:1:secret:a-Ab12Cd', true],
    [
      'arn:aws:secretsmanager:eu-west-1:1:secret:a-??????',
      'arn:aws:secretsmanager:eu-west-1:1:secret:a-b-Ab12Cd',
      false,
    ],
    ['arn:aws:lambda:eu-west-1:1:function:a:*', 'arn:aws:lambda:eu-west-1:1:function:a:7/durable-execution/x/y', true],
    ['arn:aws:lambda:eu-west-1:1:function:a:*', 'arn:aws:lambda:eu-west-1:1:function:ab:7', false],
    ['arn:aws:ec2:*:1:instance/i-1', 'arn:aws:ec2:a:b:1:instance/i-1', false],
    ['arn:aws:sns:eu-west-1:1:a.b', 'arn:aws:sns:eu-west-1:1:aXb', false],
  ])('%s and %s', (pattern, arn, expected) => {
    expect(matchesArn(pattern, arn)).toBe(expected);
  });

  it.each<[string, readonly string[] | undefined, boolean]>([
    ['StringEquals', ['demo'], true],
    ['StringEquals', ['other'], false],
    ['StringEquals', ['demo', 'other'], false],
    ['StringEquals', undefined, false],
    ['StringLike', ['demo'], true],
    ['ForAllValues:StringEquals', ['demo', 'second'], true],
    ['ForAllValues:StringEquals', ['demo', 'other'], false],
    ['ForAllValues:StringEquals', undefined, true],
    ['ForAnyValue:StringEquals', ['demo', 'other'], true],
    ['ForAnyValue:StringEquals', undefined, false],
  ])('%s with %j', (operator, found, expected) => {
    const conditions: Condition[] = [{ operator, key: 'dynamodb:LeadingKeys', values: ['demo', 'second'] }];
    const request = { action: 'dynamodb:GetItem', resource: TABLE };

    const given = found && { 'DYNAMODB:leadingkeys': found };

    expect(isAllowed([statement({ conditions })], { ...request, conditions: given })).toBe(expected);
  });

  it.each(['StringEqualsIfExists', 'Null', 'IpAddress', 'ForSomeValues:StringEquals'])(
    'does not guess at %s',
    (operator) => {
      const conditions = [{ operator, key: 'aws:SourceIp', values: ['10.0.0.1'] }];
      const ask = () => isAllowed([statement({ conditions })], { action: 'dynamodb:GetItem', resource: TABLE });

      expect(ask).toThrow(`${operator} is not known`);
    },
  );
});
