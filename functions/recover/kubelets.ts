// R11: restarts the kubelets of nodes whose etcd is silent, so that their back-offs start again from zero, and waits for etcd.
import { discoverMembers } from '../etcd/discovery.ts';
import type { NodeResult } from '../nodes/command-results.ts';
import { sendCommandOnce } from '../nodes/commands.ts';
import { documentName } from '../nodes/documents.ts';
import { type RestartKubeletOutput, restartKubeletOutput } from '../nodes/outputs.ts';
import { loadTlsMaterial } from '../run/credentials.ts';
import { describeError } from '../run/errors.ts';
import type { StepOutcome } from '../run/report.ts';
import { untilEnded } from './command-wait.ts';
import type { ObservedNode, Plan } from './decide.ts';
import { hostOf } from './observe.ts';
import type { Reached } from './workflow.ts';

const DELIVERY_TIMEOUT_SECONDS = 60;
/** The script has 120 s of its own, after its delivery. */
const RESTARTED_WITHIN_LOOKS = 90;
const LOOK_AGAIN_SECONDS = 2;
/** A member of some gigabytes opens its file and replays its log in a minute or two; elections and probes come on top. */
const ANSWERS_WITHIN_LOOKS = 100;
/** Says quickly who is there: the looks are many. */
const LOOK_DEADLINES = { statusMs: 2_000, healthMs: 2_000 };

/** Restarts them as the plan says, and waits until their etcd answers. What came of it is read by the next observation. */
export async function restartKubelets(
  recovery: Reached,
  plan: Extract<Plan, { kind: 'restart-kubelets' }>,
): Promise<void> {
  for (const { name, instanceId } of plan.offline) {
    recovery.journal.missing(
      `restart kubelet ${name}`,
      `its SSM agent is offline (${instanceId}): it could not be reached`,
      'skipped',
    );
  }
  const groups = plan.together ? [plan.nodes] : plan.nodes.map((node) => [node]);
  for (const group of groups) {
    const restarted = await restartGroup(recovery, group);
    const answers = restarted && (await untilTheyAnswer(recovery, group));
    // One by one means that the next waits for this one: a member that stays away ends it (R14).
    if (!answers) break;
  }
}

/** @returns whether any of them was restarted */
async function restartGroup(
  { journal, context, configuration }: Reached,
  group: readonly ObservedNode[],
): Promise<boolean> {
  const names = group.map(({ name }) => name).join(', ');
  const sent = await journal.quietStep(`restart kubelet on ${names}`, async () => {
    const command = await sendCommandOnce({
      document: documentName(configuration.name, 'RestartKubelet'),
      instanceIds: group.map(({ instanceId }) => instanceId),
      parameters: { KubeletUnit: configuration.nodes?.kubeletUnit ?? 'kubelet' },
      stepId: `${context.executionContext.durableExecutionArn} restart ${names}`,
      timeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
    });
    return { outcome: 'done', detail: `sent to ${names}`, data: command };
  });
  if (sent.data === undefined) {
    for (const { name } of group) journal.note(`restart kubelet ${name}`, sent);
    return false;
  }
  const results = await untilEnded(
    { journal, context },
    {
      sent: sent.data,
      output: restartKubeletOutput,
      name: `restart kubelet on ${names}`,
      looks: RESTARTED_WITHIN_LOOKS,
    },
  );
  for (const { name, instanceId } of group) {
    const result = results.find((each) => each.instanceId === instanceId);
    journal.note(`restart kubelet ${name}`, {
      ...sent,
      outcome: outcomeOf(result),
      detail: wordsOf(result, instanceId),
    });
  }
  return results.some(({ state, ran }) => state === 'Success' || ran !== 'no');
}

function outcomeOf(result: NodeResult<RestartKubeletOutput> | undefined): StepOutcome {
  if (result?.state === 'Success') return 'done';
  return result === undefined || result.state === 'Pending' || result.ran === 'unknown' ? 'unknown' : 'failed';
}

function wordsOf(result: NodeResult<RestartKubeletOutput> | undefined, instanceId: string): string {
  if (result === undefined) return `${instanceId}: nothing is known of the command`;
  const { state, output, problem } = result;
  if (output) return `${instanceId}: ${output.unit} is ${output.activeState} since ${output.restartedAt}`;
  return `${instanceId}: ${state}${problem ? `: ${problem}` : ''}`;
}

/** @returns whether all of the group's nodes answer at last */
async function untilTheyAnswer(
  { journal, context, configuration, endpoints }: Reached,
  group: readonly ObservedNode[],
): Promise<boolean> {
  const awaited = new Set(group.map(({ ipAddress }) => ipAddress));
  const waiting = `wait for etcd on ${group.map(({ name }) => name).join(', ')}`;
  for (let look = 1; look <= ANSWERS_WITHIN_LOOKS; look++) {
    const step = await journal.quietStep(`${waiting}, look ${look}`, async () => {
      const missing = await silentHosts(configuration.etcd.credentials, endpoints, awaited);
      return {
        outcome: missing.length === 0 ? ('done' as const) : ('unknown' as const),
        detail: missing.length === 0 ? 'all answer' : `silent: ${missing.join(', ')}`,
      };
    });
    const last = look === ANSWERS_WITHIN_LOOKS;
    if (step.outcome === 'done' || step.outcome === 'failed' || last) {
      journal.note(waiting, { ...step, outcome: step.outcome === 'done' ? 'done' : 'failed' });
      return step.outcome === 'done';
    }
    await context.wait('members come back', { seconds: LOOK_AGAIN_SECONDS });
  }
  return false;
}

/** Which of the awaited hosts no healthy member answers at. */
async function silentHosts(
  credentials: Reached['configuration']['etcd']['credentials'],
  endpoints: readonly string[],
  awaited: ReadonlySet<string>,
): Promise<readonly string[]> {
  const tls = await loadTlsMaterial(credentials);
  try {
    await using cluster = await discoverMembers({ endpoints, tls, deadlines: LOOK_DEADLINES });
    const missing = new Set(awaited);
    const looks = cluster.members.map(async ({ id, clientUrls, endpoint, isLearner }) => {
      const client = cluster.client(id);
      if (client === undefined || endpoint === undefined) return;
      if (!isLearner) await client.checkHealth();
      // Where it answered counts as well: it may advertise names that nodes are not known by.
      for (const url of [endpoint, ...clientUrls]) missing.delete(hostOf(url));
    });
    // Whoever is not healthy yet stays missing.
    await Promise.allSettled(looks);
    return [...missing];
  } catch (error) {
    // Nobody answers yet; how it ends is for the next observation to say.
    return [...awaited, describeError(error)];
  }
}
