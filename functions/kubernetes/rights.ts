// What docs/rbac.yaml allows, so that advice on rights that are missing never asks for more. A test compares the two.
import { KNOWN_KINDS } from '../contract/kinds.ts';
import type { ApiCall } from './errors.ts';

const REPORTS: readonly string[] = KNOWN_KINDS.map(({ name }) => name);

/** Those whose list shows no more than that they are there: no secrets, no config maps. */
const OWNERS: readonly string[] = [
  ...['pods', 'replicationcontrollers', 'services', 'namespaces', 'nodes', 'resourcequotas', 'limitranges'],
  ...['persistentvolumes', 'persistentvolumeclaims'],
  ...['replicasets.apps', 'deployments.apps', 'statefulsets.apps', 'daemonsets.apps', 'jobs.batch', 'cronjobs.batch'],
  ...['ingresses.networking.k8s.io', 'networkpolicies.networking.k8s.io'],
  ...['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'].map(
    (plural) => `${plural}.rbac.authorization.k8s.io`,
  ),
  'customresourcedefinitions.apiextensions.k8s.io',
];

/** By verb: `<plural>.<group>`, of the core group `<plural>` alone. */
export const RIGHTS: Readonly<Record<ApiCall['verb'], readonly string[]>> = {
  list: [...REPORTS, ...OWNERS],
  get: [...REPORTS, 'apiservices.apiregistration.k8s.io'],
  delete: REPORTS,
};

/** What a person can do about a call that RBAC does not allow. */
export function adviceOn({ verb, target }: ApiCall): string {
  const [resource = ''] = target.split(' ');
  if (RIGHTS[verb].includes(resource)) {
    return `Give the role the verb \`${verb}\` on \`${resource}\`, as docs/rbac.yaml has it`;
  }
  if (target.startsWith(KINDS_OF)) {
    return 'Bind the built-in role system:discovery to this user, as the end of docs/rbac.yaml says';
  }
  return 'docs/rbac.yaml leaves this kind out: reports of such owners are kept until their time is up, and a further kind of prune.kinds needs a rule of its own, like that of the other reports';
}

/** How the target of a question for a group's kinds begins, of which no rule for resources can say anything. */
export const KINDS_OF = 'the kinds of ';
