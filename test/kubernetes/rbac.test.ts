import { readFileSync } from 'node:fs';
import { loadAllYaml, type V1ClusterRole, type V1ClusterRoleBinding } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_KINDS } from '../../functions/contract/kinds.ts';
import { openKubernetes } from '../../functions/kubernetes/client.ts';
import { type ApiCall, ForbiddenError, NotServedError } from '../../functions/kubernetes/errors.ts';
import { RIGHTS } from '../../functions/kubernetes/rights.ts';
import { refusal } from '../../functions/kubernetes/translate.ts';
import type { Rule, TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { KINDS } from '../../lab/kubernetes/kinds.ts';
import { servers } from '../../lab/kubernetes/servers.ts';

interface Permission {
  readonly verb: string;
  readonly group: string;
  readonly plural: string;
}

const documents: readonly unknown[] = loadAllYaml(
  readFileSync(new URL('../../docs/rbac.yaml', import.meta.url), 'utf8'),
);
const roles = documents.filter((each): each is V1ClusterRole => isKind(each, 'ClusterRole'));
const [role] = roles;
const binding = documents.find((each): each is V1ClusterRoleBinding => isKind(each, 'ClusterRoleBinding'));

const rulesOf = (each: V1ClusterRole | undefined): readonly Rule[] =>
  (each?.rules ?? []).map(({ apiGroups = [], resources = [], verbs }) => ({ apiGroups, resources, verbs }));
const rules: readonly Rule[] = roles.flatMap(rulesOf);
const permissions: readonly Permission[] = rules.flatMap(({ apiGroups, resources, verbs }) =>
  apiGroups.flatMap((group) => resources.flatMap((plural) => verbs.map((verb) => ({ verb, group, plural })))),
);
/**
 * What Trivy Operator scans, as its own role has it; and namespaces, which Kyverno reports on too. The core group's
 * name is empty.
 */
const OWNERS: readonly string[] = [
  ...['pods.', 'replicationcontrollers.', 'services.', 'namespaces.', 'nodes.', 'resourcequotas.', 'limitranges.'],
  ...['persistentvolumes.', 'persistentvolumeclaims.'],
  ...['replicasets.apps', 'deployments.apps', 'statefulsets.apps', 'daemonsets.apps', 'jobs.batch', 'cronjobs.batch'],
  ...['ingresses.networking.k8s.io', 'networkpolicies.networking.k8s.io'],
  ...['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'].map(
    (kind) => `${kind}.rbac.authorization.k8s.io`,
  ),
  'customresourcedefinitions.apiextensions.k8s.io',
];
/** One user for each single permission that is taken away. */
const lacking = permissions.map((permission, i) => ({ permission, user: `lacks-${i}`, rules: without(permission) }));

describe('docs/rbac.yaml', () => {
  it('R12: allows listing and looking at the kinds that are pruned, and deleting them, and no other kind', () => {
    const byVerb = (wanted: string) =>
      permissions
        .filter(({ verb }) => verb === wanted)
        .map(({ group, plural }) => `${plural}.${group}`)
        .sort();
    const known = KNOWN_KINDS.map(({ name }) => name).sort();

    expect(byVerb('delete')).toEqual(known);
    expect(byVerb('get')).toEqual([...known, 'apiservices.apiregistration.k8s.io'].sort());
    expect(byVerb('list')).toEqual(expect.arrayContaining(known));
    expect(new Set(permissions.map(({ verb }) => verb))).toEqual(new Set(['list', 'get', 'delete']));
  });

  it('allows listing every kind that owns reports, but those whose list would show what is in them', () => {
    const owners = permissions.filter(({ verb }) => verb === 'list').map(({ group, plural }) => `${plural}.${group}`);

    expect(owners).toEqual(expect.arrayContaining([...OWNERS]));
    expect(owners).toHaveLength(KNOWN_KINDS.length + OWNERS.length);
  });

  it('allows nothing by a star, no secrets, no config maps, and no compliance reports', () => {
    const words = rules.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]);

    expect(words.filter((word) => word.includes('*'))).toEqual([]);
    expect(words).not.toContain('secrets');
    expect(words).not.toContain('configmaps');
    expect(words).not.toContain('clustercompliancereports');
  });

  it('has what is not looked at unless it is configured in a role of its own, which nobody is given', () => {
    const bound = rulesOf(role).flatMap(({ apiGroups, resources }) =>
      apiGroups.flatMap((group) => resources.map((plural) => `${plural}.${group}`)),
    );

    expect(KNOWN_KINDS.filter(({ name }) => !bound.includes(name))).toEqual(
      KNOWN_KINDS.filter(({ request }) => request),
    );
    expect(documents.filter((each) => isKind(each, 'ClusterRoleBinding'))).toHaveLength(1);
  });

  it('gives the role to the service account and to the certificates’ group', () => {
    expect(binding?.roleRef).toMatchObject({ kind: 'ClusterRole', name: role?.metadata?.name });
    expect(binding?.subjects).toMatchObject([
      { kind: 'ServiceAccount', name: 'etcd-medic-pruner', namespace: 'kube-system' },
      { kind: 'Group', name: 'etcd-medic:pruner' },
    ]);
  });
});

describe('advice on rights that are missing', () => {
  const answer = { status: 403, headers: {}, text: '{}', receivedBytes: 2 };
  const advice = (verb: ApiCall['verb'], target: string) =>
    refusal(answer, { verb, target, server: 'https://api' }).message;

  it('names only what docs/rbac.yaml has, whatever was asked', () => {
    const allowed = new Set(permissions.map(({ verb, group, plural }) => `${verb} ${nameOf(group, plural)}`));
    const kinds = [...RIGHTS.list, 'secrets', 'configmaps', 'rollouts.argoproj.io', 'scans.example.com'];
    for (const verb of ['list', 'get', 'delete'] as const) {
      for (const kind of kinds) {
        const named = /the verb `(\w+)` on `([^`]+)`/.exec(advice(verb, `${kind} default/it`));
        const expected = allowed.has(`${verb} ${kind}`) ? [verb, kind] : undefined;
        expect(named?.slice(1), `${verb} ${kind}`).toEqual(expected);
      }
    }
    expect([...allowed].toSorted()).toEqual(
      Object.entries(RIGHTS)
        .flatMap(([verb, names]) => names.map((name) => `${verb} ${name}`))
        .toSorted(),
    );
  });

  it('of a kind that it leaves out says that its reports are kept, and of discovery what to bind', () => {
    expect(advice('list', 'secrets')).toMatch(/docs\/rbac\.yaml leaves this kind out: reports of such owners are kept/);
    expect(advice('get', 'the kinds of apps v1')).toMatch(/RBAC does not allow it\. Bind .*system:discovery/);
  });
});

describe.each(servers())('docs/rbac.yaml, at $name', ({ start }) => {
  let api: TestApiServer;

  beforeAll(async () => {
    const others = Object.fromEntries(lacking.map(({ user, rules }) => [user, rules]));
    api = await start({ rules, others });
  });
  afterAll(() => api[Symbol.asyncDispose]());

  it('is enough for all that is asked', async () => {
    for (const permission of permissions) expect(await outcome(permission, 'pruner')).toBe('allowed');
  });

  it('has nothing that could be left out: without it that one call is refused, and the error says what is lacking', async () => {
    for (const { permission, user } of lacking) {
      const { verb, group, plural } = permission;
      const of = nameOf(group, plural);
      expect(await outcome(permission, user)).toContain(`Give the role the verb \`${verb}\` on \`${of}\``);
    }
  });

  /** Of the one call that needs the permission: `allowed`, or why not. */
  async function outcome({ verb, group, plural }: Permission, user: string): Promise<string> {
    await using client = openKubernetes({ server: api.server, credentials: api.credentials(user), connections: 1 });
    const kind = KINDS.find((each) => each.group === group && each.plural === plural);
    const resource = kind ?? { group, version: 'v1', plural };
    const object = {
      namespace: kind?.namespaced ? 'default' : undefined,
      name: 'none',
      uid: 'u',
      resourceVersion: '1',
    };
    try {
      if (verb === 'delete') await client.delete(resource, object);
      else if (verb === 'get') await client.sizeBytes(resource, object);
      else if (plural === 'replicasets') await client.listScaled(resource, { limit: 1 });
      else await client.listPage(resource, { limit: 1 });
      return 'allowed';
    } catch (error) {
      if (error instanceof ForbiddenError) return error.message;
      // RBAC comes first: only who may list a kind hears that it isn't there.
      if (error instanceof NotServedError && kind === undefined) return 'allowed';
      throw error;
    }
  }
});

/** All rules, split as far as needed to lack this one. */
function without({ verb, group, plural }: Permission): readonly Rule[] {
  return rules.flatMap((rule) => {
    if (!rule.apiGroups.includes(group) || !rule.resources.includes(plural)) return [rule];
    return [
      { ...rule, resources: rule.resources.filter((each) => each !== plural) },
      { apiGroups: [group], resources: [plural], verbs: rule.verbs.filter((each) => each !== verb) },
    ];
  });
}

function nameOf(group: string, plural: string): string {
  return group ? `${plural}.${group}` : plural;
}

function isKind(document: unknown, kind: string): boolean {
  return typeof document === 'object' && document !== null && Reflect.get(document, 'kind') === kind;
}
