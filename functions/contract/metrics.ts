// What the probe measures each minute, by the names that alarms, dashboard and documentation use.

/** Of every metric that etcd-medic puts out. */
export const NAMESPACE = 'etcd-medic';

/** One of each a cluster, with the dimension `cluster` alone. */
export const CLUSTER_METRICS = {
  /**
   * Count: members that have raised NOSPACE. 0 only where a voter answers a linearizable read: otherwise none is no
   * knowledge.
   */
  nospaceAlarms: 'NospaceAlarms',
  /** The same for CORRUPT, and for a kind of alarm that this program does not know. */
  corruptAlarms: 'CorruptAlarms',
  /** Count: members whose Status answers. 0: nobody does. */
  membersAnswering: 'MembersAnswering',
  /** Count: voters that don't answer a linearizable read; where nobody answers, as many as there are client URLs. */
  membersAway: 'MembersAway',
  /** Percent: the fullest voter's file against its own quota. */
  quotaUsage: 'QuotaUsage',
  /** Count: 1 where a voter that answers sees a leader, else 0. */
  hasLeader: 'HasLeader',
} as const;

/**
 * One of each for a few of the largest kinds in a run's copy that has its history, with the dimensions `cluster` and
 * `kind`: `<plural>.<group>`, or OTHER_KINDS for all the rest. Once a night at most.
 */
export const CONTENTS_METRICS = {
  /** Bytes: names and values of what is there. */
  live: 'KindLiveBytes',
  /** Bytes: what newer writes have replaced, and what deletions have left. */
  history: 'KindHistoryBytes',
  /** Count a minute: at least so many, since the copy before. */
  writes: 'KindWritesPerMinute',
} as const;
/** No kind of Kubernetes' has a blank in its name. */
export const OTHER_KINDS = 'other kinds';
/** Beside all others. Each costs three metrics in the hours in which a night tells it. */
export const MOST_KIND_METRICS = 5;

/**
 * What CloudWatch takes as a dimension's value ("Dimension" in its API reference): 1 to 1,024 ASCII characters without
 * controls, not all of them blanks, no colon first. A line with any other is dropped there, without a word.
 */
export const DIMENSION = /^(?!:)(?=.*\S)[\x20-\x7e]{1,1024}$/;

/**
 * One of each a member, with the dimensions `cluster` and `member` (its name, or its id where CloudWatch does not take
 * that).
 */
export const MEMBER_METRICS = {
  /** Bytes: the database file. */
  dbSize: 'DbSizeBytes',
  /** Bytes: what of it is in use. */
  dbSizeInUse: 'DbSizeInUseBytes',
  /** Count: 1 where it answers a linearizable read (a learner: Status), else 0. */
  healthy: 'MemberHealthy',
} as const;
