// What members, nodes and clusters are called in the field, and what nobody would call them.
import fc from 'fast-check';

/**
 * EC2's: by address, by resource, with a domain of one's own, up to the 63 characters of a label and the 255 of a name.
 */
export const EC2_NAMES: readonly string[] = [
  'ip-10-0-1-11.eu-central-1.compute.internal',
  'ip-10-0-1-11.ec2.internal',
  'i-0123456789abcdef0.us-gov-west-1.compute.internal',
  'i-0123456789abcdef0',
  'etcd-events.a.internal.cluster-1.example.com',
  `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
];

/** Seen in the field, or one step from it. */
export const NASTY_NAMES: readonly string[] = [
  'zürich-1',
  '控制面-1',
  'control plane (1)',
  ' ',
  '"quoted"',
  "o'brien",
  'back\\slash/slash',
  '🧯',
  'a\nb',
  '\u202eright-to-left',
  ':colon',
  '{"json":1}',
  '$(id)',
  '<b>&amp;</b>',
  'default',
  '__proto__',
  'n'.repeat(300),
];

/** etcd's `--name` takes anything. Empty: a member that was added and never started. */
export const memberName: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...EC2_NAMES, ...NASTY_NAMES, ''),
  fc.domain(),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
);

/** As the configuration's schema takes it. */
export const clusterName: fc.Arbitrary<string> = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,38}$/);
export const LONGEST_CLUSTER_NAME = `${'c-'.repeat(19)}c`;
