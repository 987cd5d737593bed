// docs/permissions.md, made from the template: run this file to write it anew.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../../lib/bundling.ts';
import type { Deployed } from './deployed.ts';
import type { Statement } from './iam.ts';
import { NEVER_CALLED, short, WHY, WHY_HERE, WILDCARDS } from './reasons.ts';
import { sampleDeployed } from './stack.ts';

export const PAGE = path.join(projectRoot, 'docs/permissions.md');

const INTRODUCTION = `# Permissions: what each function may do, and why

Each function has a role of its own. A role has what its function calls, and nothing else: the tests run every function,
note each call to AWS, and work out from the synthesised policies, as IAM would, that all of it is allowed, that nothing
is granted which was never called (but for what Lambda does in the function's name), and that a list of other things is
denied to all of them.

This page is made from the template of a cluster named \`demo\` with everything configured; with less configured, roles
have less. An ARN is written without its partition, region and account. "Its own log", the network interfaces of
functions in a VPC and the dead-letter queue, which Lambda uses in the function's name, are
[below](#what-lambda-does-in-a-functions-name).

**Nobody may**: run a shell script or any document but the stack's own; send anything to an instance without the
cluster's tag; read or delete a snapshot; turn the switch; read a secret that isn't the function's; touch another
cluster's items, snapshots, secrets, documents or runs; change a role, a function, an alarm or a rule.

With \`encryptionKeyArn\` the key is the user's, and its own policy has to allow the account's roles to use it, as AWS's
default one does. Another key (of a secret or a bucket that was there before) is not known to the stack: let its policy
allow \`kms:Decrypt\` (secret), or \`kms:Decrypt\` and \`kms:GenerateDataKey\` (bucket), to the roles that use it.
`;

export function permissionsPage({ functions, otherRoles }: Deployed): string {
  const roles = [...functions].toSorted(([one], [other]) => one.localeCompare(other));
  const tables = roles.map(([role, { statements }]) => `## ${role}\n\n${table(role, statements)}`);
  const schedules = [...otherRoles].map(
    ([role, statements]) =>
      `## ${role}\n\nOf EventBridge Scheduler, which starts the nightly runs and the rehearsals.\n\n${rows(
        statements.flatMap(({ actions, resources }) => [
          [
            actions.map(code).join('<br>'),
            resources.map(short).map(code).join('<br>'),
            SCHEDULES[actions[0] ?? ''] ?? '',
          ],
        ]),
      )}`,
  );
  return `${[INTRODUCTION, ...tables, ...schedules, inTheirName(), wildcards()].join('\n')}`;
}

const SCHEDULES: Readonly<Record<string, string>> = {
  'lambda:InvokeFunction': 'starts dispatch',
  'sqs:SendMessage': 'keeps what could not be started in time',
};

/** A line for each action on each set of resources; what Lambda does itself is told of once, for all. */
function table(role: string, statements: readonly Statement[]): string {
  const lines = statements
    .filter(({ effect }) => effect === 'Allow')
    .flatMap((statement) => statement.actions.map((action) => ({ action, statement })))
    .filter(
      ({ action }) => !NEVER_CALLED.some(({ roles, actions }) => roles.includes(role) && actions.includes(action)),
    )
    .map(({ action, statement }) => [
      code(action),
      `${statement.resources.map(short).map(code).join('<br>')}${conditionsOf(statement)}`,
      WHY_HERE[role]?.[action] ?? WHY[action] ?? '',
    ]);
  return rows(lines.toSorted(([one = ''], [other = '']) => one.localeCompare(other)));
}

function conditionsOf({ conditions }: Statement): string {
  return conditions.map(({ key, values }) => `<br>where ${code(key)} is ${values.map(code).join(' or ')}`).join('');
}

function inTheirName(): string {
  const lines = NEVER_CALLED.map(({ actions, roles, reason }) => [
    actions.map(code).join('<br>'),
    roles.toSorted().join(', '),
    reason,
  ]);
  return `## What Lambda does in a function's name\n\n${rows(lines, ['may', 'who', 'why'])}`;
}

function wildcards(): string {
  const lines = WILDCARDS.map(({ resource, actions, roles, reason }) => [
    `${actions.map(code).join('<br>')}<br>on ${code(resource)}`,
    roles.toSorted().join(', '),
    reason,
  ]);
  return `## Every wildcard there is\n\n${rows(lines, ['what', 'who', 'why'])}`;
}

function rows(lines: readonly (readonly string[])[], [one, two, three] = ['may', 'on', 'why']): string {
  const body = lines.map((cells) => `| ${cells.join(' | ')} |\n`);
  return `| ${one} | ${two} | ${three} |\n|---|---|---|\n${body.join('')}`;
}

function code(text: string): string {
  return `\`${text}\``;
}

if (process.argv[1] === import.meta.filename) writeFileSync(PAGE, permissionsPage(sampleDeployed()));
