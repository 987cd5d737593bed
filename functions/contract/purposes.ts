// What certificates are issued: for whom, by which authority of a node, and for how long.
import * as z from 'zod/mini';
import { ABSOLUTE_PATH } from './patterns.ts';

/** `etcd`: the client certificate for etcd's members. `kubernetes`: the one for the API server. */
export const PURPOSES = ['etcd', 'kubernetes'] as const;
export type Purpose = (typeof PURPOSES)[number];

export interface Subject {
  /** etcd's user, where its authorization is on; Kubernetes' user. */
  readonly commonName: string;
  /** Kubernetes' group: docs/rbac.yaml binds the pruner's. etcd doesn't look at it. */
  readonly organization: string;
}

/** The document's parameters allow no others than these begin with: it can't be made to sign for anybody else. */
export const SUBJECTS: Readonly<Record<Purpose, Subject>> = {
  etcd: { commonName: 'etcd-medic', organization: 'etcd-medic:etcd' },
  kubernetes: { commonName: 'etcd-medic', organization: 'etcd-medic:pruner' },
};

// The document takes no others.
const absolutePath = z
  .string()
  .check(z.regex(new RegExp(ABSOLUTE_PATH), 'an absolute path of letters, digits and ._@+-'));

export const authoritySchema = z.strictObject({
  /** The authority that the servers take client certificates of: its certificate on each node that can sign. */
  caFile: absolutePath,
  caKeyFile: absolutePath,
  /** The authorities that the servers' own certificates are by. */
  serverCaFile: absolutePath,
});

/** Where a certificate authority lies on a control-plane node. */
export type AuthorityFiles = z.output<typeof authoritySchema>;

/**
 * kubeadm has one authority for etcd and one for the API server, each for the servers' and the clients' certificates
 * alike.
 */
export const KUBEADM_AUTHORITIES: Readonly<Record<Purpose, AuthorityFiles>> = {
  etcd: {
    caFile: '/etc/kubernetes/pki/etcd/ca.crt',
    caKeyFile: '/etc/kubernetes/pki/etcd/ca.key',
    serverCaFile: '/etc/kubernetes/pki/etcd/ca.crt',
  },
  kubernetes: {
    caFile: '/etc/kubernetes/pki/ca.crt',
    caKeyFile: '/etc/kubernetes/pki/ca.key',
    serverCaFile: '/etc/kubernetes/pki/ca.crt',
  },
};

/** How often the secrets are rotated. */
export const ROTATION_DAYS = 30;

/** So many rotations in a row may fail before a certificate ends. */
export const FAILED_ROTATIONS = 2;

/**
 * A rotation may be late: nodes that are away, Secrets Manager's own repetitions, somebody who mends what it failed of.
 */
export const LATE_DAYS = 7;

/**
 * How long a certificate is valid, if its authority is: until the rotation after those that may fail, even where that
 * one is late.
 */
export const VALID_DAYS = (FAILED_ROTATIONS + 1) * ROTATION_DAYS + LATE_DAYS;

/**
 * A rotation that leads to less is a failure, so that somebody hears of an authority that ends soon while the old
 * certificate is good still: until the next rotation, even where that one is late.
 */
export const LEAST_DAYS = ROTATION_DAYS + LATE_DAYS;

/** The SSM document that signs. @returns its name in AWS, as `etcd-medic-production-SignClientCertificate` */
export function signingDocumentName(clusterName: string): string {
  return `etcd-medic-${clusterName}-SignClientCertificate`;
}
