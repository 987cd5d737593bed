// The configuration that docs/deploy.md shows, and the template that it makes.
import { z } from 'zod/mini';
import { synth } from '../lib/synth.ts';
import type { Resources } from './cost.ts';
import { blocksOf, readPage } from './page.ts';

/** @throws Error where the page has not exactly one cluster to copy */
export function deployExample(): unknown {
  const examples = blocksOf(readPage('docs/deploy.md'))
    .filter(({ language, text }) => language === 'json' && text.includes('"etcd"'))
    .map(({ text }): unknown => JSON.parse(text));
  if (examples.length !== 1) throw new Error(`docs/deploy.md: found ${examples.length} clusters, expected one`);
  return examples[0];
}

const template = z.object({
  Resources: z.record(
    z.string(),
    z.looseObject({ Type: z.string(), Properties: z.optional(z.record(z.string(), z.unknown())) }),
  ),
});

/** Of the stack for it; no function's code is packed. */
export function deployedResources(): Resources {
  using synthesis = synth([deployExample()]);
  return template.parse(synthesis.template().toJSON()).Resources;
}
