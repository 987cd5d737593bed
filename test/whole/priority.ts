// Priority and fairness as a cluster's owner may set it for the pruner: one of its requests at a time, others are
// refused (429) at once.
import { Agent } from 'undici';
import type { WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';
import { until } from './workloads.ts';

const NAME = 'etcd-medic-pruner';
/** A level that takes the seats away which others would lend; itself it lends all of them. */
const REST = 'the-rest';
const AT_ONCE = 50;
/** Takes its seat for a moment. */
const LIST = '/apis/aquasecurity.github.io/v1alpha1/vulnerabilityreports';

/** One at a time, until it is disposed. */
export async function limitPruner(api: WholeApiServer): Promise<AsyncDisposable> {
  const group = 'flowcontrol.apiserver.k8s.io';
  const apiVersion = `${group}/v1`;
  const level = (name: string, limited: object) =>
    api.apply({
      apiVersion,
      kind: 'PriorityLevelConfiguration',
      metadata: { name },
      ...{ spec: { type: 'Limited', limited: { limitResponse: { type: 'Reject' }, ...limited } } },
    });
  // Of 600 seats: one share of some 1,250 is one seat.
  await level(REST, { nominalConcurrencyShares: 1_000, lendablePercent: 100 });
  await level(NAME, { nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0 });
  const resourceRules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }];
  await api.apply({
    apiVersion,
    kind: 'FlowSchema',
    metadata: { name: NAME },
    ...{
      spec: {
        priorityLevelConfiguration: { name: NAME },
        // 1 is for the schema `exempt` alone.
        matchingPrecedence: 2,
        distinguisherMethod: { type: 'ByUser' },
        rules: [{ subjects: [{ kind: 'User', user: { name: 'pruner' } }], resourceRules }],
      },
    },
  });
  const paths = [`flowschemas/${NAME}`, `prioritylevelconfigurations/${NAME}`, `prioritylevelconfigurations/${REST}`];
  const path = (of: string) => `/apis/${apiVersion}/${of}`;
  await until('the limit is in force', () => refusesSome(api));
  return {
    [Symbol.asyncDispose]: async () => {
      for (const each of paths) await api.ask('DELETE', path(each), [404]);
    },
  };
}

/**
 * Whether of many requests of the pruner's at once some are refused: the server reads what it is told in its own time.
 */
async function refusesSome(api: WholeApiServer): Promise<boolean> {
  const { ca, ...credentials } = api.credentials('pruner');
  const headers = { authorization: `Bearer ${'token' in credentials ? credentials.token : ''}` };
  const agent = new Agent({ connect: { ca }, allowH2: false });
  try {
    const answers = Array.from({ length: AT_ONCE }, async () => {
      const { statusCode, body } = await agent.request({
        origin: api.server,
        path: LIST,
        method: 'GET',
        headers,
      });
      await body.dump();
      return statusCode;
    });
    return (await Promise.all(answers)).includes(429);
  } finally {
    await agent.close();
  }
}
