// Every pattern of every document that a stack can have, read by those who read it on a real account.
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { PRESETS } from '../../functions/contract/presets.ts';
import { askGo, goVersion } from './go-regexp.ts';
import { sampleCluster, synth } from './synth.ts';

const documentSchema = z.object({
  Properties: z.object({
    Name: z.string(),
    Content: z.object({
      parameters: z.record(z.string(), z.object({ allowedPattern: z.string(), default: z.optional(z.string()) })),
    }),
  }),
});

/**
 * A stack of each preset that can have nodes, with certificates of its own making, which is all documents that there
 * are.
 */
const clusters = Object.entries(PRESETS).flatMap(([preset, { whyNoNodes }]) =>
  whyNoNodes !== undefined
    ? []
    : {
        ...sampleCluster,
        name: preset,
        preset,
        nodes: { tag: { key: 'cluster', value: 'demo' } },
        etcd: { credentials: { issued: true } },
        kubernetes: { server: 'https://10.0.0.10:6443', credentials: { issued: true } },
      },
);
const used = clusters.flatMap(({ name }) =>
  Object.values(synth(clusters).template(`etcd-medic-${name}`).findResources('AWS::SSM::Document')).flatMap((found) => {
    const { Name, Content } = documentSchema.parse(found).Properties;
    return Object.entries(Content.parameters).map(([parameter, { allowedPattern, default: standard }]) => ({
      what: `${parameter} of ${Name}`,
      pattern: allowedPattern,
      standard,
    }));
  }),
);
const patterns = [...new Set(used.map(({ pattern }) => pattern))];

/** What each of the patterns takes or only just does not, by its form. */
const VALUES = [
  ...[
    'kubelet',
    'kubelet.service',
    'k3s@server.service',
    '-kubelet',
    '--all',
    'a b',
    'a*',
    'a'.repeat(128),
    'a'.repeat(129),
  ],
  ...[
    '/var/lib/etcd',
    '/mnt/vol-1_a.b@c+d',
    '/',
    '/a/',
    '/.a',
    '/a//b',
    '/var/../etc',
    '/a'.repeat(16),
    '/a'.repeat(17),
  ],
  ...[`/${'a'.repeat(62)}`, `/${'a'.repeat(63)}`, `/${'a'.repeat(62)}`.repeat(16), `/${'a'.repeat(62)}`.repeat(17)],
  ...[
    'etcd-medic',
    'etcd-medic-prod',
    'etcd-medic:pruner',
    'system:masters',
    '97',
    '0',
    '1000',
    'TUlJQg==',
    'TUlJQg===',
  ],
  ...['', '\n', 'größe', '/größe', 'ſ', 'K', '\u2028', '\u0000'],
];
/** What a language may take for the end of a line, or of a text. */
const ENDS = ['\n', '\r', '\r\n', '\u2028', '\u0085', '\u0000', ' '];
const values = [...VALUES, ...VALUES.flatMap((value) => ENDS.flatMap((end) => [`${value}${end}`, `${end}${value}`]))];

const inJavaScript = (pattern: string, value: string) => new RegExp(pattern).test(value);
/** As the agent's MatchString. */
const inRe2 = (pattern: string, value: string) => RE2JS.compile(pattern).matcher(value).find();

describe('the patterns of all documents of all presets', () => {
  it('are those of all three documents, also where a preset has its own paths', () => {
    expect(clusters.map(({ name }) => name)).toEqual(['kubeadm', 'rke2', 'k3s']);
    expect(used).toHaveLength(clusters.length * (1 + 3 + 7));
    expect(patterns.length).toBeGreaterThanOrEqual(6);
  });

  it.each(used)('can be read by the agent: $what', ({ pattern, standard }) => {
    expect(() => RE2JS.compile(pattern)).not.toThrow();
    if (standard !== undefined) expect(inRe2(pattern, standard)).toBe(true);
  });

  it('have nothing in them that languages read differently', () => {
    for (const pattern of patterns) {
      // No escapes, no flags, no lazy or possessive counts, no dot, no negated class, no alternatives.
      expect(pattern).toMatch(/^\^[^\\|^]*\$$/);
      expect(pattern.replaceAll(/\[[^\]]*\]/g, '')).not.toMatch(/[*+?}][*+?]|\(\?|\./);
    }
  });

  it.each(patterns)('mean the same in RE2 as in JavaScript: %s', (pattern) => {
    const differ = values.filter((value) => inRe2(pattern, value) !== inJavaScript(pattern, value));
    expect(differ).toEqual([]);
    const shape = fc.stringMatching(new RegExp(pattern), { size: 'small' });
    const mangled = fc
      .tuple(shape, fc.nat(), fc.string({ unit: 'binary', maxLength: 2 }))
      .map(
        ([text, at, more]) => `${text.slice(0, at % (text.length + 1))}${more}${text.slice(at % (text.length + 1))}`,
      );
    const checked = fc.property(fc.oneof(shape, mangled, fc.string({ unit: 'binary' })), (value) => {
      expect(inRe2(pattern, value)).toBe(inJavaScript(pattern, value));
    });
    fc.assert(checked, { numRuns: 300 });
  });

  it("are read by Go's own regexp as re2js and JavaScript read them", async (context) => {
    const version = await goVersion();
    if (version === undefined)
      return context.skip("there is no Go on PATH: Go's own regexp was not asked, re2js alone was");
    // Some that Go refuses besides, so that its refusals are known to be seen: re2js and Go agree on the count.
    const refused = ['^(/[a-z][a-z]{0,63}){1,16}$', '^(?=a)a$', '^a{1001}$'];

    const answers = await askGo([...patterns, ...refused].map((pattern) => ({ pattern, values })));

    expect(answers.slice(0, patterns.length)).toEqual(
      patterns.map((pattern) => ({ matches: values.map((value) => inJavaScript(pattern, value)) })),
    );
    expect(answers.slice(patterns.length)).toEqual(
      refused.map(() => ({ error: expect.stringContaining('error parsing') })),
    );
    for (const pattern of refused) expect(() => RE2JS.compile(pattern)).toThrow();
    // The first time Go builds its own library, too.
  }, 900_000);
});
