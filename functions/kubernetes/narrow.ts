// Finds by halves which object of a list can't be read, for servers that don't name it.
import type { ListOptions, MetadataPage } from './types.ts';

/**
 * Lists shorter and shorter pieces of a page that could not be read, 2 × log2 of its length at most.
 * @param list a piece of it; undefined: it can't be read either
 * @returns the last object that can be read before the one that can't, as `<namespace>/<name>`; undefined: the page has
 *   none before it
 */
export async function lastReadable(
  list: (options: ListOptions) => Promise<Pick<MetadataPage, 'items' | 'continueToken'> | undefined>,
  { limit, continueToken, namespace }: ListOptions,
): Promise<string | undefined> {
  let last: string | undefined;
  let token = continueToken;
  for (let left = limit; left > 1; ) {
    const half = Math.floor(left / 2);
    const piece = await list({ limit: half, continueToken: token, namespace });
    if (piece === undefined) {
      left = half;
      continue;
    }
    const object = piece.items.at(-1);
    if (object !== undefined) last = object.namespace ? `${object.namespace}/${object.name}` : object.name;
    // Read to its end: whoever could not be read is gone by now.
    if (piece.continueToken === undefined) return last;
    token = piece.continueToken;
    left -= half;
  }
  return last;
}
