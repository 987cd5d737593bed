// The SSM document that signs etcd-medic's client certificates on a control-plane node, and who it may be made out to.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ABSOLUTE_PATH } from '../../functions/contract/patterns.ts';
import type { DocumentContent, DocumentParameter } from './document-content.ts';

/**
 * Whoever may send the document chooses among its parameters. So these let nobody be made anything but etcd-medic: no
 * node, no administrator, no group that Kubernetes knows by itself.
 */
const COMMON_NAME = '^etcd-medic(-[a-z0-9]{1,20}){0,3}$';
const ORGANIZATION = '^etcd-medic:[a-z][a-z0-9-]{0,39}$';

/**
 * Ten commands of openssl, each of which may take 20 s on a node in distress and takes a hundredth of that on any
 * other.
 */
const TIMEOUT_SECONDS = 60;

export function signClientCertificateDocument(): DocumentContent {
  return {
    schemaVersion: '2.2',
    description:
      "etcd-medic: signs a client certificate for etcd-medic with one of this node's certificate authorities. Its key is not handed out, and nothing is changed.",
    parameters: {
      Request: parameter(
        'A certificate request (PKCS #10, PEM) as base64 in one line, at most 6,000 characters. Only its public key is used.',
        '^[A-Za-z0-9+/]+={0,2}$',
      ),
      CaCertificatePath: parameter("The certificate authority's certificate.", ABSOLUTE_PATH),
      CaKeyPath: parameter("The certificate authority's key.", ABSOLUTE_PATH),
      ServerCaPath: parameter("The authorities that the servers' certificates are verified by.", ABSOLUTE_PATH),
      CommonName: parameter("The certificate's common name: the user.", COMMON_NAME),
      Organization: parameter("The certificate's organization: the group.", ORGANIZATION),
      ValidityDays: parameter('How long it is to be valid: 1 to 366 days.', '^[1-9][0-9]{0,2}$'),
    },
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'SignClientCertificate',
        precondition: { StringEquals: ['platformType', 'Linux'] },
        inputs: {
          timeoutSeconds: String(TIMEOUT_SECONDS),
          runCommand: readFileSync(path.join(import.meta.dirname, 'sign-client-certificate.sh'), 'utf8')
            .trimEnd()
            .split('\n'),
        },
      },
    ],
  };
}

function parameter(description: string, allowedPattern: string): DocumentParameter {
  return { type: 'String', description, allowedPattern, interpolationType: 'ENV_VAR' };
}
