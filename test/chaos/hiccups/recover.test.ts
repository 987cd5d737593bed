import { afterEach, expect, it } from 'vitest';
import { documentName } from '../../../functions/contract/documents.ts';
import { troubleAtEveryCall } from '../../../lab/aws/every-call.ts';
import { startHiccups } from '../../../lab/aws/hiccup.ts';
import { listAlarms, putThrough } from '../../../lab/control-plane/alarms.ts';
import { type RuleWatch, watchRules } from '../../../lab/control-plane/rule-watch.ts';
import {
  fill,
  kubeletRestarts,
  type OnNodes,
  recover,
  startOnNodes,
  stopOnNodes,
  until,
} from '../../../lab/runs/on-nodes.ts';
import { manualCommand, recordsOf } from '../../../lab/runs/recover.ts';
import { etcdOf, SPEED } from './trouble.ts';

let here: OnNodes;
afterEach(() => stopOnNodes(here ?? {}));

/** What is not as it should be after a run that brings etcd back. */
async function wrongAfter({ plane, aws }: OnNodes, rules: RuleWatch | undefined, eventsBefore: number) {
  const writes = await Promise.all(plane.members.map(({ endpoint }) => putThrough(plane, endpoint)));
  return [
    ...((await rules?.violations()) ?? []),
    ...((await listAlarms(plane)).length > 0 ? ['the alarm is still raised'] : []),
    ...(writes.every(({ ok }) => ok) ? [] : ['a member takes no write']),
    ...(aws.events.length > eventsBefore ? [] : ['nobody was told']),
    ...((await recordsOf(aws)).includes('lease') ? ['the lease was left behind'] : []),
  ];
}

/** Of a document of the cluster's, how often a node has been sent it. */
const sent = ({ aws }: OnNodes, document: 'InspectNode' | 'RestartKubelet') =>
  aws.ssm.commands.filter((command) => command.document === documentName(manualCommand.cluster, document)).length;

it('R10: AWS answers 500 for two seconds at any call of a recovery: recovered all the same, and each command sent once', async () => {
  here = await startOnNodes({ members: 1, kubeletSpeed: SPEED, awsSpeed: SPEED });
  const { plane, aws } = here;
  await using hiccups = await startHiccups(aws);
  const etcd = await etcdOf(aws, plane);
  let rules: RuleWatch | undefined;
  let eventsBefore = 0;
  let inspectedBefore = 0;

  const { undisturbed, hit, missed, different } = await troubleAtEveryCall({
    hiccups,
    prepare: () => fill(here),
    run: () => {
      rules = watchRules(plane);
      eventsBefore = aws.events.length;
      inspectedBefore = sent(here, 'InspectNode');
      return recover(here, { speed: SPEED, configuration: { etcd } });
    },
    check: async () => {
      const inspected = sent(here, 'InspectNode') - inspectedBefore;
      return [
        ...(await wrongAfter(here, rules, eventsBefore)),
        ...(inspected === 1 ? [] : [`the node was inspected ${inspected} times`]),
      ];
    },
  });

  expect(undisturbed.outcome, undisturbed.reason).toBe('recovered');
  expect(undisturbed.wrong).toEqual([]);
  expect(different).toEqual([]);
  expect(missed).toEqual([]);
  for (const action of ['ssm SendCommand 1', 'ssm SendCommand 1, done', 's3 UploadPart 1', 'dynamodb PutItem 1']) {
    expect(hit).toContain(action);
  }
  expect(hit.length).toBeGreaterThan(20);
});

it('R5, R11: AWS answers 500 for two seconds at any call about a kubelet: it is restarted, once', async () => {
  // So slow a kubelet that no trouble lasts until it starts etcd by itself.
  const kubeletSpeed = SPEED / 2;
  here = await startOnNodes({ members: 1, kubeletSpeed, awsSpeed: SPEED });
  const { plane, aws } = here;
  await using hiccups = await startHiccups(aws);
  const etcd = await etcdOf(aws, plane);
  const { kubelet } = plane.member('cp-1');
  let rules: RuleWatch | undefined;
  let eventsBefore = 0;
  let sentBefore = 0;
  let restartsBefore = 0;
  const restarts = () => kubelet.events.filter(({ event }) => event === 'KubeletRestarted').length;

  const { undisturbed, hit, missed, different } = await troubleAtEveryCall({
    hiccups,
    of: /^ssm /,
    prepare: async () => {
      await fill(here);
      kubelet.crashOnceMore();
      await until(() => kubelet.state === 'CrashLoopBackOff', 'the back-off');
    },
    run: () => {
      rules = watchRules(plane);
      eventsBefore = aws.events.length;
      sentBefore = sent(here, 'RestartKubelet');
      restartsBefore = restarts();
      return recover(here, { speed: SPEED, configuration: { etcd } });
    },
    check: async () => {
      const commands = sent(here, 'RestartKubelet') - sentBefore;
      return [
        ...(await wrongAfter(here, rules, eventsBefore)),
        ...(commands === 1 ? [] : [`${commands} commands were sent to restart the kubelet`]),
        ...(restarts() - restartsBefore === 1 ? [] : ['the kubelet was not restarted exactly once']),
      ];
    },
  });

  expect(undisturbed.outcome, undisturbed.reason).toBe('recovered');
  expect(undisturbed.wrong).toEqual([]);
  expect(kubeletRestarts(here)).toEqual(['cp-1']);
  expect(different).toEqual([]);
  expect(missed).toEqual([]);
  for (const action of ['ssm SendCommand 1', 'ssm SendCommand 1, done', 'ssm ListCommands 1']) {
    expect(hit).toContain(action);
  }
});
