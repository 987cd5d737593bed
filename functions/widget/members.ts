// Each member's database file as a bar: what is live in it, what is free, and where its quota is.
import type { ProbedMember } from '../contract/probe-record.ts';
import { formatBytes } from '../contract/report.ts';
import { drawChart, still } from './chart.ts';
import { cut, type Html, html } from './html.ts';
import { badge } from './parts.ts';
import { drawScale, type Scale } from './scale.ts';
import type { Theme, Tone } from './theme.ts';
import { FULL_SHARE, percent, usageShare } from './verdict.ts';

const BAR_HEIGHT = 16;
/** Room right of the largest quota, so that its line, and a file that has outgrown it, can be seen. */
const HEADROOM = 1.06;

export interface MembersOptions {
  readonly theme: Theme;
  /** Pixels. */
  readonly width: number;
}

/** All bars have the same scale. */
export function drawMembers(members: readonly ProbedMember[], options: MembersOptions): Html {
  const quota = Math.max(0, ...members.map(({ quotaBytes }) => quotaOf(quotaBytes) ?? 0));
  const largest = Math.max(quota, ...members.map(({ dbSize }) => dbSize ?? 0));
  if (largest === 0) return html`${members.map((member) => drawMember(member, undefined, options))}`;
  // Ticks at a quarter of the quota are round numbers, as quotas are.
  const scale = { tick: (quota || largest) / 4, max: largest * HEADROOM };
  return html`${members.map((member) => drawMember(member, scale, options))}
    ${drawScale(scale, options)}
    <div class="em-legend">
      <span><i style="background:${options.theme.live}"></i>live</span>
      <span><i style="background:${options.theme.free}"></i>free, given back by a defragmentation</span>
      <span><i class="em-mark" style="background:${options.theme.ink}"></i>quota</span>
    </div>`;
}

function drawMember(member: ProbedMember, scale: Scale | undefined, options: MembersOptions): Html {
  const share = usageShare(member);
  const figure =
    share === undefined
      ? member.dbSize === null
        ? 'no answer'
        : formatBytes(member.dbSize)
      : `${percent(share)} of ${formatBytes(quotaOf(member.quotaBytes) ?? 0)}`;
  return html`<div class="em-member">
    <div class="em-line">
      <span class="em-name" title="${member.endpoint}">${cut(member.name, 48)}</span>
      ${marks(member)}
      <span class="em-figure">${figure}</span>
    </div>
    ${scale && drawBar(member, scale, options)}
    <div class="em-note">${note(member)}</div>
  </div>`;
}

function marks({ isLeader, isLearner, healthy, alarms }: ProbedMember): readonly Html[] {
  return [
    ...(isLeader ? [badge('info', 'leader')] : []),
    ...(isLearner ? [badge('quiet', 'learner')] : []),
    ...(healthy ? [] : [badge('bad', 'away', '✕')]),
    ...alarms.map((type) => badge('bad', cut(type, 20), '!')),
  ];
}

function note({ dbSize, dbSizeInUse, quotaBytes, version, problem, isLearner }: ProbedMember): Html {
  const words = [
    dbSizeInUse !== null && `${formatBytes(dbSizeInUse)} live`,
    dbSize !== null && dbSizeInUse !== null && `${formatBytes(Math.max(0, dbSize - dbSizeInUse))} free`,
    quotaBytes === 'none' && 'no quota',
    quotaBytes === null && dbSize !== null && 'quota not known',
    isLearner && 'left alone by every run',
    version !== null && `etcd ${cut(version, 20)}`,
  ];
  const text = words.filter((word) => word !== false).join(' · ');
  if (problem === null) return html`${text}`;
  const trouble = html`<span class="em-bad" title="${cut(problem, 1_000)}">${cut(problem, 180)}</span>`;
  return html`${text}${text !== '' && ' · '}${trouble}`;
}

function drawBar(member: ProbedMember, { max }: Scale, { theme, width }: MembersOptions): Html {
  const { dbSize, dbSizeInUse } = member;
  const live = Math.min(dbSizeInUse ?? dbSize ?? 0, dbSize ?? 0);
  const quota = quotaOf(member.quotaBytes);
  const tone = toneOf(member);
  const [liveColor, freeColor] = tone === undefined ? [theme.live, theme.free] : [theme[tone], theme[`${tone}Soft`]];
  const bar = { type: 'bar', stack: 'file', barWidth: '100%', ...still } as const;
  const outline = tone === undefined ? theme.live : theme[tone];
  return drawChart({
    width,
    height: BAR_HEIGHT,
    label: `The file of ${member.name}`,
    option: {
      grid: { left: 0, right: 0, top: 1, bottom: 1 },
      xAxis: { type: 'value', min: 0, max, show: false },
      yAxis: { type: 'category', data: [''], show: false },
      series: [
        {
          ...bar,
          data: [live],
          // A few MiB of 8 GiB are there all the same.
          barMinHeight: live > 0 ? 2 : 0,
          itemStyle: { color: liveColor },
          showBackground: true,
          backgroundStyle: { color: theme.track },
        },
        {
          ...bar,
          data: [Math.max(0, (dbSize ?? 0) - live)],
          itemStyle: { color: freeColor, borderColor: outline, borderWidth: (dbSize ?? 0) > live ? 1 : 0 },
        },
        {
          type: 'custom',
          ...still,
          // Over the bar, where the file has outgrown it.
          z: 3,
          data: quota === undefined ? [] : [[quota, 0]],
          renderItem: (_, api) => {
            const [x = 0] = api.coord([api.value(0), 0]);
            return {
              type: 'rect',
              silent: true,
              shape: { x: x - 1, y: 0, width: 2, height: BAR_HEIGHT },
              style: { fill: theme.ink },
            };
          },
        },
      ],
    },
  });
}

/** Undefined: the colours of a member that is well. */
function toneOf(member: ProbedMember): Exclude<Tone, 'quiet'> | undefined {
  if (member.alarms.length > 0) return 'bad';
  return (usageShare(member) ?? 0) >= FULL_SHARE ? 'attention' : undefined;
}

function quotaOf(quotaBytes: ProbedMember['quotaBytes']): number | undefined {
  return typeof quotaBytes === 'number' ? quotaBytes : undefined;
}
