import { expect, it } from 'vitest';
import { troubleAtEveryCall } from '../../../lab/aws/every-call.ts';
import { startHiccups } from '../../../lab/aws/hiccup.ts';
import { startAws } from '../../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import { type RuleWatch, watchRules } from '../../../lab/control-plane/rule-watch.ts';
import { churn, maintainPlane } from '../../../lab/runs/maintain.ts';
import { recordsOf } from '../../../lab/runs/recover.ts';
import { etcdOf, SPEED } from './trouble.ts';

it('R10: AWS answers 500 for two seconds at any call of a maintenance: maintained all the same', async () => {
  await using plane = await startControlPlane({ members: 1 });
  await using aws = await startAws();
  aws.enter();
  aws.ssm.parameters.set(aws.switchParameter, 'auto');
  await using hiccups = await startHiccups(aws);
  const etcd = await etcdOf(aws, plane);
  let rules: RuleWatch | undefined;
  let eventsBefore = 0;

  const { undisturbed, hit, missed, different } = await troubleAtEveryCall({
    hiccups,
    prepare: () => churn(plane, { reports: 20, reportBytes: 20_000, rewrites: 10 }),
    run: () => {
      rules = watchRules(plane);
      eventsBefore = aws.events.length;
      return maintainPlane(plane, { skipTime: false, speed: SPEED, configuration: { etcd } });
    },
    check: async () => [
      ...((await rules?.violations()) ?? []),
      ...(aws.events.length > eventsBefore ? [] : ['nobody was told']),
      ...((await recordsOf(aws)).includes('lease') ? ['the lease was left behind'] : []),
    ],
  });

  expect(undisturbed.outcome, undisturbed.reason).toBe('maintained');
  expect(undisturbed.wrong).toEqual([]);
  expect(different).toEqual([]);
  expect(hit.length).toBeGreaterThan(10);
  expect(missed).toEqual([]);
});
