#!/usr/bin/env bash
# @aws/durable-execution-sdk-js 2.4.0: `step` and `waitForCondition` treat one thrown error differently, and no option
# says so.
#
# Expected: an error in one look of a poll is an accident like one in a step, which the SDK tries again by itself (six
#   attempts unless a retry strategy says otherwise); the poll is even the operation that is made to look many times.
# Seen: the step succeeds at its second attempt. The poll has failed for good after its first look, and its wait
#   strategy is never asked. Its configuration has no retry strategy, so a look that may fail has to catch its own
#   errors and hand them out as its state.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 @aws/durable-execution-sdk-js@2.4.0 @aws/durable-execution-sdk-js-testing@1.1.4
cat >poll.mjs <<'JS'
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';

await LocalDurableTestRunner.setupTestEnvironment({ skipTime: true });
const calls = { step: 0, poll: 0, strategy: 0 };
const failOnce = (what) => {
  if (++calls[what] === 1) throw new Error('connection reset');
};
const ending = (promise) => promise.then(() => 'succeeded', ({ name, message }) => `${name}: ${message}`);
const handler = withDurableExecution(async (_event, context) => {
  const step = await ending(context.step('step', async () => failOnce('step')));
  const look = async () => {
    failOnce('poll');
    return { done: true };
  };
  const waitStrategy = ({ done }) => {
    calls.strategy++;
    return done ? { shouldContinue: false } : { shouldContinue: true, delay: { seconds: 1 } };
  };
  const poll = await ending(context.waitForCondition('poll', look, { initialState: { done: false }, waitStrategy }));
  return { step, poll };
});
const run = await new LocalDurableTestRunner({ handlerFunction: handler }).run({ payload: {} });
console.log(JSON.stringify({ ...run.getResult(), calls }));
await LocalDurableTestRunner.teardownTestEnvironment();
JS
seen=$(node_modules/.bin/node poll.mjs)
wanted='{"step":"succeeded","poll":"StepError: connection reset","calls":{"step":2,"poll":1,"strategy":0}}'
echo "@aws/durable-execution-sdk-js 2.4.0, an error thrown once: $seen"
[ "$seen" = "$wanted" ] || { echo "this was: $wanted" >&2; exit 1; }
