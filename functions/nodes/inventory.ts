// Which control-plane nodes there are, by their tag: Systems Manager alone knows, so no EC2 API is needed.
import { type InstanceInformation, paginateDescribeInstanceInformation } from '@aws-sdk/client-ssm';
import { withSsm } from '../aws/ssm.ts';
import { explainQuestion } from './errors.ts';

/** The service's own limit. */
const PAGE_SIZE = 50;

export interface FindNodesOptions {
  readonly tag: { readonly key: string; readonly value: string };
}

export interface Node {
  /** `i-…` */
  readonly instanceId: string;
  /** The address of the agent's first network interface; undefined: the agent never said. */
  readonly ipAddress: string | undefined;
  /** The host's own name, or the instance id of an agent that never said it. */
  readonly name: string;
  /** `Online` alone means that a command will get there. */
  readonly pingStatus: 'Online' | 'ConnectionLost' | 'Inactive';
  /** ISO 8601; undefined: never. */
  readonly lastPingAt: string | undefined;
  /** Undefined: the agent never said. agent-version.ts knows which are too old. */
  readonly agentVersion: string | undefined;
}

/**
 * Every node with the tag that has ever had an agent, sorted by instance id; none is an empty list.
 * @throws SetupError when the nodes must not be listed
 * @throws NodesUnreadableError when Systems Manager did not answer
 */
export async function findNodes({ tag }: FindNodesOptions): Promise<readonly Node[]> {
  try {
    return await withSsm(async (client) => {
      const nodes: Node[] = [];
      const pages = paginateDescribeInstanceInformation(
        { client, pageSize: PAGE_SIZE },
        { Filters: [{ Key: `tag:${tag.key}`, Values: [tag.value] }] },
      );
      for await (const { InstanceInformationList = [] } of pages)
        nodes.push(...InstanceInformationList.flatMap(toNode));
      return nodes.sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
    });
  } catch (error) {
    throw explainQuestion(`nodes with the tag ${tag.key}=${tag.value}: tried to list them`, error);
  }
}

function toNode(information: InstanceInformation): Node[] {
  const { InstanceId, IPAddress, ComputerName, PingStatus, LastPingDateTime, AgentVersion } = information;
  if (InstanceId === undefined) return [];
  return [
    {
      instanceId: InstanceId,
      ipAddress: IPAddress || undefined,
      name: ComputerName || InstanceId,
      // A state that this version does not know is none in which a command is sure to arrive.
      pingStatus: PingStatus === 'Online' || PingStatus === 'Inactive' ? PingStatus : 'ConnectionLost',
      lastPingAt: LastPingDateTime?.toISOString(),
      agentVersion: AgentVersion || undefined,
    },
  ];
}
