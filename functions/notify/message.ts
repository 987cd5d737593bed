// Says what a report says to a person who reads it on a phone, perhaps at night: first what it is, then what to do,
// then the figures.

import { needsAPerson, rehearsalFailed } from '../aws/events.ts';
import { describeSender } from '../contract/command.ts';
import { redact } from '../contract/errors.ts';
import { functionName } from '../contract/names.ts';
import { type Outcome, type Reporter, type RunReport, reasonWithoutAdvice, yesTo } from '../contract/report.ts';
import { WORKFLOWS } from '../contract/workflows.ts';
import { describeContents } from './contents.ts';
import { describeMembers, describePruned, list } from './figures.ts';
import type { Message } from './topic.ts';

/** Where the reader can look and act. */
export interface Place {
  /** The parameter that is the switch (R16). */
  readonly switchParameter: string;
  /** The run's execution; undefined where it isn't known. */
  readonly execution: string | undefined;
  /** Of the stack's topic: tells the partition and the region for links. */
  readonly topicArn: string;
}

const WORDS: Readonly<Record<Outcome, string>> = {
  recovered: 'Recovered',
  maintained: 'Done',
  pruned: 'Done',
  'nothing-to-do': 'Nothing to do',
  planned: 'Only planned',
  healthy: 'Healthy',
  refused: 'Refused',
  escalated: 'Escalated',
  skipped: 'Skipped',
  failed: 'Failed',
};

function subjectOf(reporter: Reporter): string {
  return reporter === 'probe' ? 'probe' : WORKFLOWS[reporter].subject;
}

/** The source of a run's trigger where nobody knows it any more. */
export const UNKNOWN_SOURCE = 'unknown';

/** SNS takes less than 100 characters. */
const MAX_SUBJECT_LENGTH = 99;
/** What doesn't fit on two screens isn't read at night; the rest is in the history. */
const MAX_REASON_LENGTH = 1_200;
/** An alarm's name has at most 255 characters; what a person gives as a source may have any number. */
const MAX_SOURCE_LENGTH = 300;

const REHEARSED =
  'This was a rehearsal: nothing was changed, and nothing had to be. A real run would have met with the same. Mend it today, and no night needs you for it.';

function failedSteps({ steps }: RunReport): string[] {
  return steps.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`);
}

/** R15: what is in the message was redacted in the report, and is once more. */
export function composeMessage(report: RunReport, place: Place): Message {
  const failed = rehearsalFailed(report);
  const word = `${needsAPerson(report) ? 'ACT NOW - ' : ''}${failed ? 'Rehearsal failed' : wordOf(report)}`;
  const subject = `${word}: ${report.cluster}, ${subjectOf(report.workflow)}`;
  const parts = [
    failed ? REHEARSED : '',
    whatToAllow(report),
    cut(reasonWithoutAdvice(report), MAX_REASON_LENGTH),
    list('What failed on the way:', failed ? failedSteps(report) : []),
    facts(report),
    describeMembers(report.members),
    describeContents(report),
    describePruned(report.pruned ?? []),
    list('Planned, not done:', report.plan?.map(({ name }) => name) ?? []),
    whatToDo(report, place),
    whereToLook(report, place),
  ];
  const body = parts.filter((part) => part !== '').join('\n\n');
  return { subject: asciiLine(redact(subject)), body: `${withoutControls(redact(body))}\n` };
}

function facts(report: RunReport): string {
  const { cluster, workflow, outcome, trigger, dryRun, canWait, startedAt, finishedAt, snapshot } = report;
  const took = duration(Date.parse(finishedAt) - Date.parse(startedAt));
  return [
    `Cluster: ${cluster}`,
    `What: ${trigger.rehearsal ? 'rehearsal, ' : dryRun ? 'dry run, ' : ''}${subjectOf(workflow)}`,
    `Result: ${canWait ? 'held back by a guard, the rest is done' : WORDS[outcome].toLowerCase()}`,
    ...(trigger.source === UNKNOWN_SOURCE ? [] : [`Started by: ${startedBy(trigger)}`]),
    `When: ${startedAt.slice(0, 16).replace('T', ' ')} UTC, took ${took}`,
    ...(snapshot ? [`Snapshot: ${snapshot.object}, ${snapshot.proven ? 'proven' : 'not proven'}`] : []),
  ].join('\n');
}

function wordOf({ outcome, canWait }: RunReport): string {
  return canWait ? 'Held back, can wait for the day' : WORDS[outcome];
}

/** The one thing to do about what a guard has held back. */
function whatToAllow({ cluster, raise }: RunReport): string {
  if (raise === undefined) return '';
  return [
    'Some stale reports were not deleted unasked. Look at a few of them; if they may go, allow it for one run:',
    `press Test on ${functionName(cluster, 'dispatch')} (Lambda console) with`,
    yesTo(raise),
  ].join('\n');
}

function startedBy(trigger: RunReport['trigger']): string {
  const { kind, source } = trigger;
  if (kind === 'manual') return describeSender(trigger);
  // Of an ARN, the name is what people know.
  const name = source.startsWith('arn:') ? source.split(':').slice(5).join(':') : source;
  return `${kind} ${cut(name.replace(/^(alarm:|schedule\/[^/]+\/)/, ''), MAX_SOURCE_LENGTH)}`;
}

function whatToDo(report: RunReport, { switchParameter }: Place): string {
  const { cluster, workflow, outcome, trigger, dryRun } = report;
  const turn = (value: string) => `aws ssm put-parameter --overwrite --name ${switchParameter} --value ${value}`;
  const press = (order: object) =>
    `press Test on ${functionName(cluster, 'dispatch')} (Lambda console) with ${JSON.stringify(order)}`;
  // The alarm is on already, and one that stays on starts nothing.
  if (outcome === 'planned' && !dryRun && trigger.kind === 'alarm') {
    return ['To have it done, turn the switch:', turn('auto'), `then ${press({ workflow })}`].join('\n');
  }
  if (!needsAPerson(report)) return '';
  if (trigger.rehearsal) {
    return ['To rehearse once more when it is mended, changing nothing:', press({ workflow, dryRun: true })].join('\n');
  }
  return [
    'To see what is left to do, changing nothing:',
    press({ workflow, dryRun: true }),
    '',
    'To keep etcd-medic from acting while you work:',
    turn('observe'),
  ].join('\n');
}

/** Host of the console, by partition. */
const CONSOLES: Readonly<Record<string, string>> = {
  aws: 'console.aws.amazon.com',
  'aws-cn': 'console.amazonaws.cn',
  'aws-us-gov': 'console.amazonaws-us-gov.com',
};

function whereToLook({ cluster, workflow }: RunReport, { execution, topicArn }: Place): string {
  const name = functionName(cluster, workflow);
  const [, partition = '', , region = ''] = topicArn.split(':');
  const host = CONSOLES[partition];
  // The name is the last but one part of the ARN, and what the console lists executions by.
  const run = execution === undefined ? '' : `, ${execution.split('/').at(-2)}`;
  return [
    `Step by step: Lambda, ${name}, Durable executions${run}`,
    ...(host === undefined ? [] : [`https://${host}/lambda/home?region=${region}#/functions/${name}`]),
  ].join('\n');
}

/** 90000 is "1 min 30 s". */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}

function asciiLine(text: string): string {
  return cut(text.replace(/[^ -~]+/g, '?'), MAX_SUBJECT_LENGTH);
}

/**
 * A member's name or an error's words come from elsewhere; terminals and mail programs act on some control characters.
 */
function withoutControls(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, ' ');
}
