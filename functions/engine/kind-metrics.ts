// What the metrics of a copy's contents are: a few kinds, and all others together. Pure.
import type { ReportContents } from '../contract/contents.ts';
import { redact } from '../contract/errors.ts';
import { DIMENSION, MOST_KIND_METRICS, OTHER_KINDS } from '../contract/metrics.ts';

export interface KindFigures {
  /** A dimension's value. */
  readonly kind: string;
  readonly liveBytes: number;
  readonly historyBytes: number;
  /** Undefined: not known, so that no metric is put out. */
  readonly writesPerMinute: number | undefined;
}

/** @returns none for a copy behind a compaction: beside the nights' its history would be a hole in the curve */
export function kindFigures(contents: ReportContents | undefined): readonly KindFigures[] {
  if (contents === undefined || contents.isCompacted) return [];
  // R15: a key is whatever anybody has written.
  const named = contents.kinds.filter(({ resource }) => DIMENSION.test(resource) && redact(resource) === resource);
  const shown = named.slice(0, MOST_KIND_METRICS);
  const sum = (of: (kind: ReportContents['kinds'][number]) => number) => shown.reduce((all, kind) => all + of(kind), 0);
  return [
    ...shown.map(({ resource, liveBytes, historyBytes, growth }) => ({
      kind: resource,
      liveBytes,
      historyBytes,
      writesPerMinute: growth?.writesPerMinute,
    })),
    {
      kind: OTHER_KINDS,
      liveBytes: contents.liveBytes - sum(({ liveBytes }) => liveBytes),
      historyBytes: contents.historyBytes - sum(({ historyBytes }) => historyBytes),
      writesPerMinute: undefined,
    },
  ];
}
