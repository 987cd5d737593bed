// What an operator has written since it was switched to another kind: each report there takes the place of one here.

import type { ReportKind } from '../contract/kinds.ts';
import { NotServedError } from '../kubernetes/errors.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { isOwn, lastWrittenMs, placeOf, type Successors } from '../reports/stale.ts';
import { checkTime, TooSlowError, troubleOf } from './trouble.ts';

const PAGE_SIZE = 500;

/**
 * The operator's own reports of the kind after this one. Of one that may not be listed, or can't be, none is known, and
 * what they would take the place of is kept; that the kind can't be looked at is said at its own turn.
 * @param namespaces where to look. @default everywhere
 * @param untilMs no page is asked for after this, in ms since 1970
 * @throws KubernetesError, SetupError for what is not about that kind alone; TooSlowError
 */
export async function listSuccessors(
  client: Pick<KubernetesClient, 'listPage'>,
  kind: ReportKind,
  untilMs: number,
  namespaces: readonly (string | undefined)[] = [undefined],
): Promise<Successors> {
  const found = new Map<string, number>();
  const { group, plural, versions } = kind.successor ?? { group: '', plural: '', versions: [] };
  for (const version of versions) {
    try {
      for (const namespace of namespaces) {
        let continueToken: string | undefined;
        do {
          checkTime(`listing ${plural}.${group}`, untilMs);
          const page = await client.listPage(
            { group, version, plural },
            { limit: PAGE_SIZE, continueToken, namespace },
          );
          for (const report of page.items) {
            const writtenMs = lastWrittenMs(report);
            if (isOwn(report, kind) && writtenMs !== undefined) found.set(placeOf(report), writtenMs);
          }
          continueToken = page.continueToken;
        } while (continueToken !== undefined);
      }
      return found;
    } catch (error) {
      if (error instanceof NotServedError) continue;
      const { kind: trouble } = troubleOf(error);
      if (error instanceof TooSlowError || trouble === 'fatal' || trouble === 'away') throw error;
      return new Map();
    }
  }
  return found;
}
