// An SSM Command document of one cluster, and the permission to send it to that cluster's nodes and no others.
import { ArnFormat, Stack, Validations } from 'aws-cdk-lib';
import { Policy, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import { CfnDocument } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import { type DocumentKind, documentName } from '../../functions/contract/documents.ts';
import { documentContent } from './document-content.ts';

export interface SsmDocumentProps {
  readonly clusterName: string;
  readonly kind: DocumentKind;
}

/** A changed script becomes a new version of the same document, and the default one at once. */
export class SsmDocument extends CfnDocument {
  readonly documentName: string;
  readonly kind: DocumentKind;

  constructor(scope: Construct, id: string, { clusterName, kind }: SsmDocumentProps) {
    const name = documentName(clusterName, kind);
    super(scope, id, {
      name,
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      content: documentContent(kind),
    });
    this.documentName = name;
    this.kind = kind;
  }
}

export interface NodeCommandsGrant {
  readonly documents: readonly { readonly documentName: string }[];
  /** Only instances that bear it are sent anything. */
  readonly tag: { readonly key: string; readonly value: string };
}

/**
 * What functions/nodes needs of a role. The last statement's actions know no resources; they read what was sent and
 * which nodes there are, and change nothing.
 */
export function nodeCommandStatements(scope: Construct, { documents, tag }: NodeCommandsGrant): PolicyStatement[] {
  const stack = Stack.of(scope);
  return [
    new PolicyStatement({
      actions: ['ssm:SendCommand'],
      resources: documents.map(({ documentName: resourceName }) =>
        stack.formatArn({ service: 'ssm', resource: 'document', resourceName }),
      ),
    }),
    new PolicyStatement({
      actions: ['ssm:SendCommand'],
      resources: [
        stack.formatArn({
          service: 'ec2',
          resource: 'instance',
          resourceName: '*',
          arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
        }),
      ],
      conditions: { StringEquals: { [`ssm:resourceTag/${tag.key}`]: tag.value } },
    }),
    new PolicyStatement({
      actions: [
        'ssm:DescribeInstanceInformation',
        'ssm:GetCommandInvocation',
        'ssm:ListCommandInvocations',
        'ssm:ListCommands',
      ],
      resources: ['*'],
    }),
  ];
}

/**
 * Lets a role find the nodes, send them these documents and read what came of it. A policy of its own, so that the
 * reasons stand for it alone.
 */
export function nodeCommandsPolicy(scope: Construct, id: string, role: Role, grant: NodeCommandsGrant): Policy {
  const policy = new Policy(scope, id, { statements: nodeCommandStatements(scope, grant), roles: [role] });
  Validations.of(policy).acknowledge(
    {
      id: 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*]',
      reason:
        "Which instances are the control plane's is said by their tag, which the statement asks for: nodes come and go.",
    },
    {
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The four actions that list nodes and read what became of commands know no resources. They change nothing.',
    },
  );
  return policy;
}
