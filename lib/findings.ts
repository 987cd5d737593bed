// How cdk-nag names what it finds: a finding is acknowledged by its whole name, so that a reason covers nothing else.
import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/**
 * An ARN in the name of a finding: `<Snapshots1A2B3C4D.Arn>/demo/*`, `arn:<AWS::Partition>:s3:::my-snapshots/demo/*`.
 */
export function arnInFindings(scope: Construct, arn: string): string {
  return inWords(Stack.of(scope).resolve(arn));
}

/** @param resolved a text, or one of CloudFormation's functions that make one */
function inWords(resolved: unknown): string {
  if (typeof resolved !== 'object' || resolved === null) return String(resolved);
  const [[name, argument] = ['', undefined]] = Object.entries(resolved);
  const list = Array.isArray(argument) ? argument : [argument];
  if (name === 'Fn::Join' && Array.isArray(list[1])) return list[1].map(inWords).join(String(list[0]));
  return `<${list.join('.')}>`;
}
