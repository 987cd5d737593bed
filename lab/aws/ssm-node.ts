// A node as Systems Manager sees it: what its agent reports, what a command's script finds there, and what goes wrong.

export type PingStatus = 'Online' | 'ConnectionLost' | 'Inactive';

/** What goes wrong with the commands of one node, until it is set to undefined. Commands already sent keep theirs. */
export type NodeFault =
  /** Its agent never fetches a command: Pending until the delivery time is over, then `Delivery Timed Out`. */
  | { readonly kind: 'offline' }
  /** The service gives up at once: `Undeliverable`. */
  | { readonly kind: 'undeliverable' }
  /** The script runs, but only after so long. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** The script never ends: `Execution Timed Out` when the command's own time is over; it is not run. */
  | { readonly kind: 'hanging' }
  /** The caller may not send to this node: `Access Denied`. */
  | { readonly kind: 'access-denied' }
  /** The agent is stopped while the script runs: `Cancelled`. It is not run. */
  | { readonly kind: 'cancelled' }
  /** SendCommand refuses to send to it: `InvalidInstanceId`, for the whole call. */
  | { readonly kind: 'invalid' }
  /** The service says this, from the first look on; the script is not run. For what has no fault of its own here. */
  | { readonly kind: 'status'; readonly status: string; readonly details: string };

export interface SsmNode {
  /** `i-…`; the service takes 8 or 17 hexadecimal digits. */
  readonly instanceId: string;
  readonly ipAddress: string;
  /** The host's own name, as DescribeInstanceInformation's ComputerName. */
  readonly computerName: string;
  readonly tags: Readonly<Record<string, string>>;
  pingStatus: PingStatus;
  /** What its agent says that it is. @default one that knows all that the documents need */
  readonly agentVersion?: string | undefined;
  /** PATH for the script: shims first */
  readonly path: string;
  /** Added to the script's environment, beside PATH and the document's parameters; nothing else is in it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  fault?: NodeFault | undefined;
}
