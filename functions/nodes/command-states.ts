// The states of a command on one node, as Systems Manager writes them and as a run tells them apart.
import type { CommandInvocation } from '@aws-sdk/client-ssm';

/** `Pending` is the only one that can still change. */
export type CommandState =
  | 'Pending'
  | 'Success'
  | 'Failed'
  | 'TimedOut'
  | 'Undeliverable'
  | 'Cancelled'
  | 'AccessDenied';

/** What a state of the service means for a run. */
export interface Meaning {
  readonly state: CommandState;
  /** Whether the script began there. `unknown`: it may have, or may be running still (R5). */
  readonly ran: 'yes' | 'no' | 'unknown';
  /** One sentence; undefined where nothing is wrong so far. */
  readonly problem: string | undefined;
}

const PENDING: Meaning = { state: 'Pending', ran: 'unknown', problem: undefined };

/**
 * By `StatusDetails`, in lower case and without blanks: the service writes both `Delivery Timed Out` and
 * `DeliveryTimedOut`.
 */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['pending', PENDING],
  ['inprogress', PENDING],
  ['delayed', { state: 'Pending', ran: 'no', problem: undefined }],
  ['cancelling', PENDING],
  ['success', { state: 'Success', ran: 'yes', problem: undefined }],
  ['failed', { state: 'Failed', ran: 'yes', problem: undefined }],
  [
    'deliverytimedout',
    { state: 'TimedOut', ran: 'no', problem: 'its agent never fetched the command: is it running?' },
  ],
  [
    'executiontimedout',
    {
      state: 'TimedOut',
      ran: 'yes',
      problem: 'the script began and did not end in its time: what it did is not known',
    },
  ],
  ['undeliverable', { state: 'Undeliverable', ran: 'no', problem: 'the command could not be delivered to it' }],
  ['cancelled', { state: 'Cancelled', ran: 'unknown', problem: 'somebody cancelled the command' }],
  ['terminated', { state: 'Cancelled', ran: 'no', problem: 'the command was ended, because it failed on other nodes' }],
  [
    'accessdenied',
    { state: 'AccessDenied', ran: 'no', problem: 'the role may not send commands to it: has it the tag?' },
  ],
  ['invalidplatform', { state: 'Failed', ran: 'no', problem: 'the document is for Linux, and the node is not' }],
]);

/** What ends an invocation whose details this version does not know. */
const BY_STATUS: ReadonlyMap<string, CommandState> = new Map<string, CommandState>([
  ['Cancelled', 'Cancelled'],
  ['TimedOut', 'TimedOut'],
  ['Failed', 'Failed'],
]);

/** Never throws: what is not known to have ended counts as pending, and the caller's deadline ends it. */
export function meaningOf({ Status, StatusDetails = '' }: CommandInvocation): Meaning {
  const known = MEANINGS.get(plain(StatusDetails));
  if (known !== undefined) return known;
  const state = BY_STATUS.get(Status ?? '');
  // Not known to have ended, so it has not.
  if (state === undefined) return MEANINGS.get(plain(Status ?? '')) ?? PENDING;
  const details = StatusDetails === '' ? 'no details' : `the details "${StatusDetails}"`;
  return { state, ran: 'unknown', problem: `Systems Manager says ${Status}, with ${details}` };
}

function plain(status: string): string {
  return status.replaceAll(/\s/g, '').toLowerCase();
}
