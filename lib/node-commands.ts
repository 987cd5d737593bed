// What etcd-medic does on the control-plane nodes: its two SSM documents, and who may send them.
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { DocumentKind } from '../functions/contract/documents.ts';
import { nodeCommandsPolicy, SsmDocument } from './documents/ssm-document.ts';

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
    nodeCommandsPolicy(role, 'NodeCommands', role, { documents, tag: this.#tag });
  }
}
