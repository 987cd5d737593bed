// An execution may have 3,000 durable operations ("Lambda quotas"): no workflow comes near, however long and however bad its night.
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { BATCHES_OF_A_SIZE, batchSize } from '../../functions/prune/act.ts';
import { KNOWN_KINDS } from '../../functions/prune/kinds.ts';
import { AWAY_AGAIN_SECONDS } from '../../functions/prune/pruning.ts';

const MOST_OPERATIONS = 1_500;
/** Of prune.maxStaleCount and prune.maxMinutes: the most that a configuration may say. */
const MOST_STALE = 10_000_000;
const MOST_MINUTES = 180;

describe('the durable operations of an execution', () => {
  it('are one for each thing that is waited for: no workflow waits by steps of its own', async () => {
    const names = (await readdir('functions', { recursive: true })).filter((name) => name.endsWith('.ts'));
    const waiting: string[] = [];
    for (const name of names) {
      const text = await readFile(`functions/${name}`, 'utf8');
      if (/\bcontext\.(wait|waitForCondition|step)\(/.test(text)) waiting.push(name);
    }

    // The batches are counted below; the prune function is woken in a few tries, and metrics are put out once.
    const counted = ['prune/act.ts', 'run/journal.ts', 'run/pipeline.ts', 'run/prune-child.ts'];
    expect(waiting.filter((name) => !counted.includes(name))).toEqual([]);
  });

  it('stay below 1,500 in a pruning of ten million stale reports', () => {
    let batches = 0;
    for (let stale = MOST_STALE; stale > 0; batches++) stale -= batchSize(batches);
    // One that is cut by its minute is not as large; where the API server is away, there is a wait between two.
    const cut = MOST_MINUTES;
    const waits = (MOST_MINUTES * 60) / AWAY_AGAIN_SECONDS;
    const perKind = 2;
    const around = 20;

    const operations = batches + cut + waits + KNOWN_KINDS.length * perKind + around;

    expect(batchSize(0)).toBe(500);
    expect(batches).toBeGreaterThan(BATCHES_OF_A_SIZE);
    expect(operations).toBeLessThan(MOST_OPERATIONS);
  });
});
