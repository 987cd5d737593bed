// What the documents' scripts print, field by field: docs/documents/ says what it means.
import * as z from 'zod/mini';

const count = z.number().check(z.int('a whole number'), z.gte(0, 'at least 0'));
const text = z.string();

/** Of RestartKubelet. */
export const restartKubeletOutput = z.object({
  unit: text,
  activeState: text,
  subState: text,
  /** When the restart was asked for, ISO 8601. */
  restartedAt: text,
  mainPid: count,
});

/** Of InspectNode. What is null could not be read, and `notes` says why. */
export const nodeInspection = z.object({
  dataDir: text,
  /**
   * The disk that a defragmentation's new file comes to: that of member/snap, or of the data folder where there is
   * none.
   */
  disk: z.nullable(z.object({ totalBytes: count, freeBytes: count })),
  /** Size of member/snap/db. */
  dbBytes: z.nullable(count),
  /** `db.tmp.*` of defragmentations that did not end, or of one that is going on. At most 10 are listed. */
  orphaned: z.object({ count, totalBytes: count, files: z.array(z.object({ name: text, bytes: count })) }),
  kubelet: z.nullable(z.object({ unit: text, activeState: text, subState: text })),
  /** Of the static pod; flags without their dashes. */
  manifest: z.nullable(
    z.object({
      path: text,
      image: z.nullable(text),
      version: z.nullable(text),
      flags: z.record(z.string(), text),
    }),
  ),
  /**
   * Where etcd keeps its data by its manifest's --data-dir, and whether that is the database that was looked at:
   * `false` where another one lies there. Left out by documents of before.
   */
  etcdDataDir: z._default(
    z.nullable(
      z.object({
        flag: text,
        onNode: z.nullable(text),
        dbBytes: z.nullable(count),
        isDataDir: z.nullable(z.boolean()),
      }),
    ),
    null,
  ),
  container: z.nullable(z.object({ state: text, restarts: count })),
  /** Of all interfaces but the loopback, at most 64. Left out by documents of before. */
  addresses: z._default(z.nullable(z.array(text)), null),
  notes: z.array(text),
});

export type RestartKubeletOutput = z.output<typeof restartKubeletOutput>;
export type NodeInspection = z.output<typeof nodeInspection>;

/** Of either document that could not do its work. */
export const failureOutput = z.object({ error: text });
