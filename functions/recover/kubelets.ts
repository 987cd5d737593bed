// R11: restarts the kubelets of nodes whose etcd is silent, so that their back-offs start again from zero, and waits
// for etcd.

import { loadTlsMaterial } from '../aws/credentials.ts';
import { documentName } from '../contract/documents.ts';
import { describeError } from '../contract/errors.ts';
import type { StepOutcome } from '../contract/report.ts';
import { sendPatiently, untilEnded } from '../control-plane/command-wait.ts';
import { problemWithAgent } from '../control-plane/inspections.ts';
import { nodeOf } from '../control-plane/node-match.ts';
import type { KubeletRestarts, Observation, ObservedNode } from '../control-plane/observation.ts';
import { hostOf } from '../control-plane/observe.ts';
import type { ReachableRun } from '../control-plane/run-context.ts';
import type { StepName } from '../engine/step-name.ts';
import { discoverMembers } from '../etcd/discovery.ts';
import type { NodeResult } from '../nodes/command-results.ts';
import { type RestartKubeletOutput, restartKubeletOutput } from '../nodes/outputs.ts';
import type { Plan } from './decide.ts';

const DELIVERY_TIMEOUT_SECONDS = 60;
/** The script has 120 s of its own, after its delivery. */
const RESTARTED_WITHIN_SECONDS = 180;
const LOOK_AGAIN_SECONDS = 2;
/**
 * A member of some gigabytes opens its file and replays its log in a minute or two; elections and probes come on top.
 */
const ANSWERS_WITHIN_SECONDS = 200;
/** A managed node's id has 20 characters; an operation's name 256 at most. */
const MOST_IDS = 9;
/** Says quickly who is there: the looks are many. */
const LOOK_DEADLINES = { statusMs: 2_000, healthMs: 2_000 };

/**
 * Restarts them as the plan says, and waits until their etcd answers. Whether it does is read by the next observation.
 * @returns what was really done
 */
export async function restartKubelets(
  recovery: ReachableRun,
  plan: Omit<Extract<Plan, { kind: 'restart-kubelets' }>, 'kind'>,
  { nodes = [] }: Observation,
): Promise<KubeletRestarts> {
  for (const { name, instanceId } of plan.offline) {
    const detail = `its SSM agent is offline (${instanceId}): it could not be reached`;
    recovery.journal.note(`restart kubelet ${name}`, { outcome: 'skipped', detail });
  }
  if (plan.unknown.length > 0) {
    recovery.journal.note('restart kubelets', { outcome: 'skipped', detail: plan.unknown.join('; ') });
  }
  let all: KubeletRestarts = {
    restarted: [],
    perhaps: [],
    problems: plan.offline.map(({ name }) => `${name}: its SSM agent is offline`),
  };
  const groups = plan.together ? [plan.nodes] : plan.nodes.map((node) => [node]);
  for (const [turn, group] of groups.entries()) {
    const done = await restartGroup(recovery, group);
    all = added(all, done);
    const any = done.restarted.length + done.perhaps.length > 0;
    const answers = any && (await untilTheyAnswer(recovery, group, nodes));
    // One by one means that the next waits for this one: a member that stays away ends it (R14).
    if (answers) continue;
    const left = groups
      .slice(turn + 1)
      .flat()
      .map(({ name }) => `${name}: it was not its turn any more`);
    return added(all, { restarted: [], perhaps: [], problems: left });
  }
  return all;
}

function added(one: KubeletRestarts, other: KubeletRestarts): KubeletRestarts {
  return {
    restarted: [...one.restarted, ...other.restarted],
    perhaps: [...one.perhaps, ...other.perhaps],
    problems: [...one.problems, ...other.problems],
  };
}

async function restartGroup(
  { journal, configuration }: ReachableRun,
  group: readonly ObservedNode[],
): Promise<KubeletRestarts> {
  const names = group.map(({ name }) => name).join(', ');
  const command = {
    document: documentName(configuration.name, 'RestartKubelet'),
    instanceIds: group.map(({ instanceId }) => instanceId),
    parameters: { KubeletUnit: configuration.nodes?.kubeletUnit ?? 'kubelet' },
    stepId: `${journal.executionArn} restart ${names}`,
    timeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
  };
  const name = ofNodes('restart kubelet on', group);
  const sent = await sendPatiently(journal, name, `sent to ${names}`, command, { changes: true });
  if (sent.outcome !== 'done') {
    for (const { name } of group) journal.note(`restart kubelet ${name}`, sent);
    const names = group.map(({ name }) => name);
    // A lost answer is no refusal: the command may be at work (R5).
    if (sent.outcome === 'unknown') return { restarted: [], perhaps: names, problems: [] };
    return { restarted: [], perhaps: [], problems: names.map((name) => `${name}: ${sent.detail}`) };
  }
  const results = await untilEnded(
    { journal },
    {
      sent: sent.data,
      output: restartKubeletOutput,
      name: ofNodes('restarted kubelet on', group),
      withinSeconds: RESTARTED_WITHIN_SECONDS,
    },
  );
  let all: KubeletRestarts = { restarted: [], perhaps: [], problems: [] };
  for (const node of group) {
    const { name, instanceId } = node;
    const result = results.find((each) => each.instanceId === instanceId);
    const outcome = outcomeOf(result);
    const detail =
      outcome === 'done' ? wordsOf(result, instanceId) : problemWithAgent(node, wordsOf(result, instanceId));
    journal.note(`restart kubelet ${name}`, { ...sent, outcome, detail });
    all = added(all, {
      restarted: outcome === 'done' ? [name] : [],
      perhaps: outcome === 'unknown' ? [name] : [],
      problems: outcome === 'failed' ? [`${name}: ${detail}`] : [],
    });
  }
  return all;
}

/** Of many nodes with long names the operation's own name would be too long, and not in its alphabet. */
function ofNodes(what: string, nodes: readonly ObservedNode[]): StepName {
  const ids = nodes.map(({ instanceId }) => instanceId);
  const operation = ids.length > MOST_IDS ? `${what} ${ids.length} nodes` : `${what} ${ids.join(', ')}`;
  return { report: `${what} ${nodes.map(({ name }) => name).join(', ')}`, operation };
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
  { journal, configuration, endpoints }: ReachableRun,
  group: readonly ObservedNode[],
  nodes: readonly ObservedNode[],
): Promise<boolean> {
  const waiting = ofNodes('wait for etcd on', group);
  const polling = { everySeconds: LOOK_AGAIN_SECONDS, withinSeconds: ANSWERS_WITHIN_SECONDS };
  const step = await journal.poll(waiting, polling, async () => {
    const missing = await silentStill(configuration.etcd.credentials, endpoints, group, nodes);
    if (missing.length === 0) return { outcome: 'done', detail: 'all answer' };
    return { outcome: 'failed', detail: `silent: ${missing.join(', ')}`, again: true };
  });
  return step.outcome === 'done';
}

/** The names of those on which no healthy member is. */
async function silentStill(
  credentials: ReachableRun['configuration']['etcd']['credentials'],
  endpoints: readonly string[],
  group: readonly ObservedNode[],
  nodes: readonly ObservedNode[],
): Promise<readonly string[]> {
  const tls = await loadTlsMaterial(credentials);
  const missing = new Map(group.map(({ instanceId, name }) => [instanceId, name]));
  try {
    await using cluster = await discoverMembers({ endpoints, tls, deadlines: LOOK_DEADLINES });
    const looks = cluster.members.map(async ({ id, name, clientUrls, endpoint, isLearner }) => {
      const client = cluster.client(id);
      if (client === undefined || endpoint === undefined) return;
      if (!isLearner) await client.checkHealth();
      // Where it answered counts as well: it may advertise names that nodes are not known by.
      const { node } = nodeOf({ name, endpoint, hosts: [endpoint, ...clientUrls].map(hostOf) }, nodes);
      if (node !== undefined) missing.delete(node.instanceId);
    });
    // Whoever is not healthy yet stays missing.
    await Promise.allSettled(looks);
    return [...missing.values()];
  } catch (error) {
    // Nobody answers yet; how it ends is for the next observation to say.
    return [...missing.values(), describeError(error)];
  }
}
