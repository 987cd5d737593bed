import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { troubleAtEveryCall } from '../../../lab/aws/every-call.ts';
import { startHiccups } from '../../../lab/aws/hiccup.ts';
import { startAws } from '../../../lab/aws/stand-in.ts';
import { createOwners, createReports, KEPT } from '../../../lab/kubernetes/sample-cluster.ts';
import { startStandIn } from '../../../lab/kubernetes/stand-in.ts';
import { CLUSTER, clear, reportNames, runPrune } from '../../../lab/runs/prune.ts';
import { recordsOf } from '../../../lab/runs/recover.ts';
import { putSecret, SPEED } from './trouble.ts';

it('R10, R12: AWS answers 500 for two seconds at any call of a pruning: exactly what is stale is deleted', async () => {
  await using aws = await startAws();
  aws.enter();
  await using hiccups = await startHiccups(aws);
  await using api = await startStandIn();
  const { server, credentials } = api.configuration();
  const [ca, token] = await Promise.all([
    readFile(credentials.caFile, 'utf8'),
    readFile(credentials.tokenFile, 'utf8'),
  ]);
  const kubernetes = { server, credentials: putSecret(aws, { ca, token }) };
  let eventsBefore = 0;

  const { undisturbed, hit, missed, different } = await troubleAtEveryCall({
    hiccups,
    prepare: async () => {
      await clear(api);
      await createOwners(api);
      await createReports(api);
    },
    run: () => {
      eventsBefore = aws.events.length;
      return runPrune(api, { skipTime: false, speed: SPEED, kubernetes });
    },
    check: async () => {
      const left = await reportNames(api);
      const lease = (await recordsOf(aws, CLUSTER)).includes('lease');
      return [
        ...(left.join() === KEPT.toSorted().join() ? [] : [`left are ${left.join(', ')}`]),
        ...(aws.events.length > eventsBefore ? [] : ['nobody was told']),
        ...(lease ? ['the lease was left behind'] : []),
      ];
    },
  });

  expect(undisturbed.outcome, undisturbed.reason).toBe('pruned');
  expect(undisturbed.wrong).toEqual([]);
  expect(different).toEqual([]);
  expect(hit.length).toBeGreaterThan(5);
  expect(missed).toEqual([]);
});
