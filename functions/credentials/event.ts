// What the function can be asked for: a step of a rotation, by Secrets Manager, or a certificate at once, by a person.
import * as z from 'zod/mini';
import { PURPOSES } from '../contract/purposes.ts';
import { validate } from '../contract/validate.ts';

const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;

const rotationSchema = z.object({
  Step: z.enum(STEPS),
  /** The secret's ARN. */
  SecretId: z.string(),
  /** Also the id of the secret's version that this rotation makes. */
  ClientRequestToken: z.string().check(z.regex(/^[\w-]{32,64}$/, "a version's id of 32 to 64 characters")),
});

/** As `openssl x509 -noout -fingerprint -sha256` prints it. */
const fingerprint = z
  .string()
  .check(z.regex(/^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$/, "a certificate's SHA-256 fingerprint, such as 1A:2B:…"));

const issueSchema = z.strictObject({
  issue: z.enum(PURPOSES),
  /** Authorities to be trusted beside those of the current credentials; on the first issue, the only ones. */
  trust: z._default(z.array(fingerprint), []),
});

/** One step of Secrets Manager's rotation. */
export type RotationStep = z.output<typeof rotationSchema>;
/** A person's order. */
export type IssueOrder = z.output<typeof issueSchema>;

/** @throws InvalidInputError naming the field, what was found and what was expected */
export function parseEvent(event: unknown): RotationStep | IssueOrder {
  if (typeof event === 'object' && event !== null && 'Step' in event) {
    return validate(rotationSchema, event, 'rotation event');
  }
  return validate(issueSchema, event, 'event');
}
