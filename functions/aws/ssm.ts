// The connection to Systems Manager: made when first needed, closed when the work is done.
import { SSMClient } from '@aws-sdk/client-ssm';
import { clientDefaults } from './client.ts';

/**
 * The room's files import what they need of the SDK by name and not as a whole when first needed: only so does a bundle
 * leave out the rest of it, which is 150 kB.
 * @param settings `clientDefaults` try again after a timeout or a throttled call, with a growing pause
 */
export async function withSsm<Result>(
  work: (client: SSMClient) => Promise<Result>,
  settings: typeof clientDefaults = clientDefaults,
): Promise<Result> {
  const client = new SSMClient(settings);
  try {
    return await work(client);
  } finally {
    client.destroy();
  }
}
