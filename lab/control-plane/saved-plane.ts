// What is kept in a plane's folder so that the same members, with the same data, can be started from it again.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { validate } from '../../functions/contract/validate.ts';

const FILE = 'control-plane.json';

const schema = z.strictObject({
  version: z.string(),
  tls: z.boolean(),
  // Ports too: a member's peer URL is part of its data.
  members: z.array(
    z.strictObject({
      name: z.string(),
      etcdName: z.optional(z.string()),
      clientPort: z.number(),
      peerPort: z.number(),
      quotaBytes: z.number(),
      address: z.optional(z.string()),
      metricsPort: z.optional(z.number()),
      behindProxies: z.optional(z.strictObject({ clientPort: z.number(), peerPort: z.number() })),
      dataDir: z.optional(z.string()),
    }),
  ),
});

export type SavedPlane = z.output<typeof schema>;

/** Undefined where the folder has none. */
export async function readSavedPlane(directory: string): Promise<SavedPlane | undefined> {
  const file = join(directory, FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  return validate(schema, JSON.parse(text), file);
}

export async function savePlane(directory: string, plane: SavedPlane): Promise<void> {
  await writeFile(join(directory, FILE), `${JSON.stringify(plane, undefined, 2)}\n`);
}
