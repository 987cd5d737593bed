// What etcd-medic does on the control-plane nodes: its two SSM documents, and who may send them.
import { Validations } from 'aws-cdk-lib';
import { Policy, type Role } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { DocumentKind } from '../functions/nodes/documents.ts';
import { nodeCommandStatements, SsmDocument } from './documents/ssm-document.ts';

export interface NodeCommandsProps {
  readonly clusterName: string;
  /** Only instances that bear it are sent anything. */
  readonly tag: { readonly key: string; readonly value: string };
}

export class NodeCommands extends Construct {
  readonly documents: readonly SsmDocument[];
  readonly #tag: NodeCommandsProps['tag'];

  constructor(scope: Construct, id: string, { clusterName, tag }: NodeCommandsProps) {
    super(scope, id);
    this.#tag = tag;
    this.documents = (['RestartKubelet', 'InspectNode'] as const).map(
      (kind) => new SsmDocument(this, kind, { clusterName, kind }),
    );
  }

  /**
   * Lets a role find the nodes, send them documents and read what came of it.
   * @param kinds the documents that it may send
   */
  grantTo(role: Role, kinds: readonly DocumentKind[]): void {
    const documents = this.documents.filter(({ kind }) => kinds.includes(kind));
    // A policy of its own, so that the reasons below stand for its statements alone.
    const policy = new Policy(role, 'NodeCommands', {
      statements: nodeCommandStatements(this, { documents, tag: this.#tag }),
      roles: [role],
    });
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
  }
}
