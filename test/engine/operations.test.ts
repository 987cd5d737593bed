// An execution may have 3,000 durable operations ("Lambda quotas"): no workflow comes near, however long and however
// bad its night.
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { KNOWN_KINDS } from '../../functions/contract/kinds.ts';
import { MOST_PRUNE_MINUTES, MOST_REVISION_AGE_SECONDS, MOST_STALE_COUNT } from '../../functions/contract/policies.ts';
import { WAKING_TRIES } from '../../functions/engine/prune-child.ts';
import { AGING_LOOK_SECONDS } from '../../functions/maintain/act.ts';
import { BATCHES_OF_A_SIZE, batchSize } from '../../functions/prune/act.ts';
import { AWAY_AGAIN_SECONDS } from '../../functions/prune/pruning.ts';

const MOST_OPERATIONS = 1_500;

/**
 * etcd advises against more than seven ("etcd FAQ"): nine are the largest cluster that makes sense to anybody, and each
 * has a node.
 */
const VOTERS = 9;
/** Kinds of reports that a configuration may add to those that are known. */
const OWN_KINDS = 50;

/** What one place comes to, however often it looks: a poll and a step are an operation each, and so is a wait. */
const POLL = 1;
const STEP = 1;
/** What it is folded in. */
const FOLD = 1;
const SEND = POLL;
const UNTIL_ENDED = POLL;

/** conduct.ts, pipeline.ts: the lease taken, finish, the history, the bus, the lease let go, and the metrics. */
const AROUND = POLL + STEP + 2 * POLL + POLL + STEP;
const SWITCH = POLL;
const LIST_NODES = POLL;
/** prune/absence.ts: which are there, and were before. */
const OPERATORS = STEP;
const LOOK = POLL;
const INSPECT_NODES = SEND + UNTIL_ENDED;
const RIGHTS = STEP;
const SNAPSHOT = POLL;
const WHAT_FILLS_IT = STEP;
/**
 * prune-child.ts: before and after, the tries to wake it, and the waits between. The child is an execution of its own.
 */
const PRUNE_CHILD = 2 * STEP + WAKING_TRIES + (WAKING_TRIES - 1);

/**
 * How often sweep.ts takes up a member: to its end, once put back for a backup's stream, and once for leading; one more
 * ends the sweep.
 */
const TURNS = VOTERS + VOTERS + VOTERS + 1;
/** @param before each turn, by who looks on */
const sweep = (before: number) => TURNS * (FOLD + before + /* move leader */ POLL + /* defragment */ POLL);

/** recover/kubelets.ts, one by one: sent, ended, answering. */
const RESTART_KUBELETS = VOTERS * (SEND + UNTIL_ENDED + POLL);
const ASK_NODES = INSPECT_NODES + LOOK;

const RECOVER = {
  around: AROUND,
  'observe and decide': SWITCH + LIST_NODES + LOOK + ASK_NODES + INSPECT_NODES + RIGHTS,
  'kubelets, then observe again, and wait for voters': RESTART_KUBELETS + 2 * LOOK,
  'snapshot, behind the first': /* its bucket tried, compared */ 2 * POLL + SNAPSHOT,
  'compact and defragment': POLL + sweep(0),
  'prune, look, and do it once more': PRUNE_CHILD + /* in etcd itself */ POLL + LOOK + POLL + sweep(0),
  'disarm, canary, watch': 3 * POLL,
  'verify, what fills it': LOOK + 2 * WHAT_FILLS_IT + /* last night */ POLL,
};

/** maintain/act.ts: an alarm at every look that is gone at the next. */
const GROW_OLD = Math.ceil(MOST_REVISION_AGE_SECONDS / AGING_LOOK_SECONDS) * (POLL + LOOK);
const JUDGE = LOOK + INSPECT_NODES;
/** Before each turn: the disks settle, and the check. */
const NIGHTLY_SWEEP = sweep(2 * POLL);

const MAINTAIN = {
  around: AROUND,
  'observe and decide': SWITCH + LIST_NODES + /* rates */ POLL + 2 * LOOK + RIGHTS + INSPECT_NODES,
  'snapshot, or its contents alone, compare, prune': SNAPSHOT + POLL + PRUNE_CHILD,
  'the revision grows old': LOOK + GROW_OLD,
  'compact, canary': LOOK + POLL + POLL + LOOK,
  'the first, by which the others are judged': JUDGE + NIGHTLY_SWEEP,
  'the others': JUDGE + NIGHTLY_SWEEP,
  'verify, what fills it': LOOK + WHAT_FILLS_IT,
};

const total = (parts: Readonly<Record<string, number>>) => Object.values(parts).reduce((sum, part) => sum + part, 0);

/**
 * Files that make durable operations, or call what does, with how many places there are in each. All of them are in the
 * sums above.
 */
const COUNTED: Readonly<Record<string, number>> = {
  'control-plane/ask-nodes.ts': 2,
  'control-plane/command-wait.ts': 2,
  'control-plane/compare-voters.ts': 1,
  'control-plane/contents-alone.ts': 1,
  'control-plane/disks.ts': 1,
  'control-plane/inspections.ts': 2,
  'control-plane/look.ts': 1,
  'control-plane/nodes.ts': 1,
  'control-plane/patience.ts': 1,
  'control-plane/rights.ts': 1,
  'control-plane/snapshot-first.ts': 3,
  'control-plane/sweep.ts': 4,
  'engine/conduct.ts': 6,
  'engine/mode.ts': 1,
  'engine/pipeline.ts': 1,
  'engine/prune-child.ts': 4,
  'maintain/act.ts': 13,
  'maintain/workflow.ts': 9,
  'prune/absence.ts': 1,
  'prune/act.ts': 3,
  'prune/look.ts': 3,
  'prune/workflow.ts': 1,
  'recover/act.ts': 10,
  'recover/direct.ts': 1,
  'recover/kubelets.ts': 3,
  'recover/workflow.ts': 12,
};

/** Their `look` and `patiently` are others of the same name: calls to AWS, and to the members. */
const NOT_DURABLE = /^(kubernetes|probe)\/|^(aws\/credentials|engine\/journal)\.ts$/;

const DURABLE =
  /\b(?:journal|context)\.(?:step|poll|fold|wait|invoke|waitForCondition|runInChildContext)[<(]|\b(?:await|return) (?:patiently|look|inspectNodes|inspectDisks|untilEnded|pruneFirst|snapshotFirst|tryStoreFirst|snapshotOfFirst|missingRights|readMode|listNodes|askNodes|restartKubelets|deliver|this\.#lookAgain)[<(]|\bsendPatiently\(journal,/g;

describe('the durable operations of an execution', () => {
  it('are one for each thing that is waited for: no workflow waits by steps of its own', async () => {
    const waiting: string[] = [];
    for (const [name, text] of await sources()) {
      if (/\bcontext\.(wait|waitForCondition|step)\(/.test(text)) waiting.push(name);
    }

    // The batches are counted below; the prune function is woken in a few tries, and metrics are put out once.
    const counted = ['prune/act.ts', 'engine/journal.ts', 'engine/pipeline.ts', 'engine/prune-child.ts'];
    expect(waiting.filter((name) => !counted.includes(name))).toEqual([]);
  });

  it('are made where they are counted here, and nowhere else', async () => {
    const found: Record<string, number> = {};
    for (const [name, text] of await sources()) {
      const places = text.match(DURABLE)?.length ?? 0;
      if (places > 0 && !NOT_DURABLE.test(name)) found[name] = places;
    }

    expect(found).toEqual(COUNTED);
  });

  it('stay below 1,500 in a recovery of nine voters in which everything happens', () => {
    expect(total(RECOVER)).toBeGreaterThan(VOTERS * 10);
    expect(total(RECOVER)).toBeLessThan(MOST_OPERATIONS);
  });

  it('stay below 1,500 in a night of nine voters in which everything happens', () => {
    expect(GROW_OLD).toBe(120);
    expect(total(MAINTAIN)).toBeGreaterThan(GROW_OLD + 2 * TURNS);
    expect(total(MAINTAIN)).toBeLessThan(MOST_OPERATIONS);
  });

  it('stay below 1,500 in a pruning of ten million stale reports', () => {
    let batches = 0;
    for (let stale = MOST_STALE_COUNT; stale > 0; batches++) stale -= batchSize(batches);
    // One that is cut by its minute is not as large; where the API server is away, there is a wait between two.
    const cut = MOST_PRUNE_MINUTES;
    const waits = (MOST_PRUNE_MINUTES * 60) / AWAY_AGAIN_SECONDS;
    const kinds = KNOWN_KINDS.length + OWN_KINDS;
    const perKind = 2;

    const operations = batches + cut + waits + kinds * perKind + AROUND + SWITCH + OPERATORS;

    expect(batchSize(0)).toBe(500);
    expect(batches).toBeGreaterThan(BATCHES_OF_A_SIZE);
    expect(operations).toBeLessThan(MOST_OPERATIONS);
  });
});

/** Each file's name below functions/, and its text. */
async function sources(): Promise<readonly (readonly [string, string])[]> {
  const names = (await readdir('functions', { recursive: true })).filter((name) => name.endsWith('.ts'));
  return Promise.all(names.sort().map(async (name) => [name, await readFile(`functions/${name}`, 'utf8')] as const));
}
