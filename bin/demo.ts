// The whole story on this machine: three real etcd members fill up with reports until they refuse writes, one alarm
// event arrives, and etcd-medic brings them back. Leaves nothing behind, also after Ctrl-C.
import { readFile } from 'node:fs/promises';
import { parseArgs, styleText } from 'node:util';
import type { Context } from 'aws-lambda';
import { Listr } from 'listr2';
import { describeError, InvalidInputError } from '../functions/contract/errors.ts';
import { formatBytes, type RunReport } from '../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../lab/aws/stand-in.ts';
import { putThrough } from '../lab/control-plane/alarms.ts';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import { backOffsOfMinutes, changeKubeletSpeed, lastBackOffEndsAt } from '../lab/control-plane/crash-loop.ts';
import { fillWithReports } from '../lab/control-plane/fill.ts';
import { manageNodes } from '../lab/control-plane/managed-nodes.ts';
import type { ControlPlane } from '../lab/control-plane/plane.ts';
import { summary } from './demo/summary.ts';
import { type WriteWatch, watchWrites } from './demo/write-watch.ts';
import { progressLine } from './progress.ts';

const MiB = 1024 * 1024;
/** Large enough to see the sizes move, small enough to fill in seconds; etcd's own default is 2 GiB. */
const QUOTA_BYTES = 96 * MiB;
const WATCH_SECONDS = 10;
const CLUSTER = 'demo';
/** Until the crash loop has come about, the kubelets' clocks run so many times faster: nobody waits ten minutes. */
const CRASH_LOOP_SPEED = 20;
/** From then on, the engine's too: a recovery takes real time, which is to be compared with the back-offs. */
const RECOVERY_SPEED = 4;

// The screen belongs to the story; the functions' log lines and metrics go to CloudWatch in real life.
process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
process.env.POWERTOOLS_METRICS_DISABLED = 'true';

interface Story {
  aws: AwsStandIn;
  plane: ControlPlane;
  writes: WriteWatch;
  backOffEndsAt: number | undefined;
  report: RunReport;
}

const { crashLoop, version } = readOptions();
const speed = crashLoop ? RECOVERY_SPEED : 1;
await using cleanUp = new AsyncDisposableStack();

// What the recovery says before its task is on the screen.
const early: string[] = [];
let onLine = (line: string) => void early.push(line);

const tasks = new Listr<Partial<Story>>([
  {
    title: 'AWS stand-ins: Lambda, DynamoDB, EventBridge, Systems Manager, S3',
    task: async (story) => {
      story.aws = cleanUp.use(await startAws({ secondMs: 1000 / speed }));
      story.aws.enter();
    },
  },
  {
    title: 'A control plane: three etcd members over TLS, each under its kubelet',
    task: async (story, task) => {
      const plane = await startControlPlane({
        quotaBytes: QUOTA_BYTES,
        nodes: true,
        kubeletSpeed: crashLoop ? CRASH_LOOP_SPEED : 1,
        onProgress: (line) => {
          task.output = line;
        },
        ...(crashLoop && { probes: '<=1.24' as const }),
        ...(version !== undefined && { version }),
      });
      story.plane = cleanUp.use(plane);
      manageNodes(present(story.aws), plane, CLUSTER);
      const probes = crashLoop ? `, probes of kubeadm 1.24, clocks ${CRASH_LOOP_SPEED} times faster` : '';
      task.title += `: etcd ${plane.version}, quota ${formatBytes(QUOTA_BYTES)}${probes}`;
    },
  },
  {
    title: 'Vulnerability reports pile up',
    task: async (story, task) => {
      const plane = present(story.plane);
      let told = 0;
      const filled = await fillWithReports(plane, {
        onProgress: ({ puts, bytes }) => {
          if (bytes - told < QUOTA_BYTES / 8) return;
          told = bytes;
          task.output = `${puts} reports written, ${formatBytes(bytes)}`;
        },
      });
      story.writes = cleanUp.use(watchWrites(plane));
      await story.writes.refused;
      task.title += `: after ${filled.puts} writes etcd raises NOSPACE on ${filled.alarmed.join(', ')}; the cluster is read-only`;
    },
  },
  {
    title: 'The kubelets kill etcd again and again, because its health says NOSPACE',
    enabled: () => crashLoop,
    task: async (story, task) => {
      const plane = present(story.plane);
      await backOffsOfMinutes(plane, (line) => {
        task.output = line;
      });
      changeKubeletSpeed(plane, RECOVERY_SPEED);
      story.backOffEndsAt = lastBackOffEndsAt(plane);
      task.title += `: all three are in CrashLoopBackOff, for minutes, and kubectl cannot help; from here on clocks run ${RECOVERY_SPEED} times faster`;
    },
  },
  {
    title: 'The CloudWatch alarm reaches dispatch, and dispatch starts a recovery',
    task: async (story, task) => {
      const aws = present(story.aws);
      const { handler } = await import('../functions/recover/handler.ts');
      const functionArn = aws.lambda.register(`etcd-medic-${CLUSTER}-recover`, {
        durable: handler,
        options: {
          speed,
          onOperation: (change) => {
            const line = progressLine(change);
            if (line !== undefined && !line.endsWith('…')) onLine(line);
          },
        },
      });
      const configuration = present(story.plane).configuration({
        name: CLUSTER,
        recover: { watchSeconds: WATCH_SECONDS },
      });
      process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(configuration);
      process.env.ETCD_MEDIC_WORKFLOWS = JSON.stringify({ recover: functionArn });
      const { handler: dispatch } = await import('../functions/dispatch/handler.ts');
      const { started } = await dispatch(await alarmEvent(), {
        awsRequestId: 'demo',
        getRemainingTimeInMillis: () => 60_000,
      } as Context);
      task.title += `: ${started[0]?.executionName}`;
    },
  },
  {
    title: 'Recovery',
    rendererOptions: { persistentOutput: true, outputBar: Number.POSITIVE_INFINITY },
    task: async (story, task) => {
      onLine = (line) => {
        task.output = line;
      };
      for (const line of early) onLine(line);
      const execution = await present(story.aws).lambda.executions[0]?.result;
      if (execution?.status !== 'SUCCEEDED') throw new Error(execution?.error?.message ?? 'no run was started');
      story.report = execution.result as RunReport;
      task.title += `: ${story.report.outcome}`;
    },
  },
  {
    title: 'A write through every member',
    task: async (story, task) => {
      const plane = present(story.plane);
      for (const { name, endpoint } of plane.members) {
        const put = await putThrough(plane, endpoint);
        if (!put.ok) throw new Error(`${name} refused: ${describeError(put.error)}`);
      }
      task.title += `: accepted by ${plane.members.map(({ name }) => name).join(', ')}`;
    },
  },
]);

try {
  const { report, writes, aws, backOffEndsAt } = await tasks.run({});
  const told = summary(present(report), {
    refusedMs: present(writes).refusedMs(),
    events: present(aws).events,
    snapshots: present(aws).s3.objects,
    crashLoop: backOffEndsAt === undefined ? undefined : { backOffEndsAt, speed },
  });
  process.stdout.write(`\n${told}\n`);
  process.exitCode = present(report).outcome === 'recovered' ? 0 : 1;
} catch (error) {
  process.stderr.write(`\n${styleText('red', 'The demo stopped:')} ${describeError(error)}\n`);
  process.exitCode = 1;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: { scenario: { type: 'string', default: 'nospace' }, etcd: { type: 'string' } },
    });
    if (values.scenario !== 'nospace' && values.scenario !== 'crashloop') {
      throw new InvalidInputError('command line', [
        `--scenario: found "${values.scenario}", expected nospace or crashloop`,
      ]);
    }
    return { crashLoop: values.scenario === 'crashloop', version: values.etcd };
  } catch (error) {
    process.stderr.write(
      `${describeError(error)}\nusage: npm run demo -- [--scenario nospace|crashloop] [--etcd 3.7|3.5.30]\n`,
    );
    process.exit(1);
  }
}

/** The sample event that comes with the project, with the present time in it. */
async function alarmEvent(): Promise<unknown> {
  const event = JSON.parse(await readFile(new URL('../events/alarm-eventbridge.json', import.meta.url), 'utf8'));
  event.detail.state.timestamp = new Date().toISOString().replace('Z', '+0000');
  return event;
}

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('an earlier part of the demo did not come about');
  return value;
}
