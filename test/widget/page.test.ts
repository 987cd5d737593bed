import { describe, expect, it } from 'vitest';
import { parseTrigger } from '../../functions/dispatch/parse.ts';
import { drawChart } from '../../functions/widget/chart.ts';
import { drawMembers } from '../../functions/widget/members.ts';
import { drawPage } from '../../functions/widget/page.ts';
import type { Situation } from '../../functions/widget/situation.ts';
import { themeOf } from '../../functions/widget/theme.ts';
import { countElements, elementsOf, textOf, unescapeHtml } from './markup.ts';
import { healthy, iso, look, member, NOW, run, situations } from './situations.ts';

const frame = { theme: 'light', width: 1_600, offsetMinutes: 60 } as const;
const frames = [frame, { ...frame, width: 400, theme: 'dark' }] as const;
const GiB = 1024 ** 3;

const ELEMENTS = new Set(
  'style div span b i h3 p ul li details summary a cwdb-action svg rect path circle polygon text'.split(' '),
);
const ATTRIBUTES = new Set(
  [
    'class style title role aria-label aria-hidden action display endpoint confirmation',
    'xmlns version baseProfile viewBox width height x y cx cy r d points fill stroke transform opacity',
    'stroke-width stroke-dasharray stroke-opacity stroke-linecap fill-opacity',
    'dominant-baseline text-anchor pointer-events xml:space',
  ].flatMap((names) => names.split(' ')),
);

describe.each(Object.entries(situations))('the page: %s', (_, situation) => {
  it.each(frames)(
    'has no element that CloudWatch takes out and nothing that runs or loads ($theme, $width)',
    (options) => {
      const page = drawPage(situation, options);

      const elements = elementsOf(page);
      expect(elements.map(({ name }) => name).filter((name) => !ELEMENTS.has(name))).toEqual([]);
      const attributes = elements.flatMap((element) => [...element.attributes.keys()]);
      expect(attributes.filter((name) => !ATTRIBUTES.has(name))).toEqual([]);
      expect(page).not.toMatch(/url\(|@import|javascript:|data:|expression\(/i);
      // Every "<" begins an element that was looked at, or ends one.
      expect(page.split('<').length - 1).toBe(elements.length + (page.match(/<\//g)?.length ?? 0));
    },
  );

  it('is the same whenever it is drawn', () => {
    expect(drawPage(situation, frame)).toBe(drawPage(situation, frame));
  });
});

describe('the page says', () => {
  it.each([
    ['healthy', ['Healthy', '33 % of its quota (ip-10-0-3-11)', 'looked at 34 s ago', 'switch auto', '1 more']],
    [
      'healthy',
      ['811 MiB → 409 MiB', '1,204 reports deleted', 'Next: Pruning in 15 h, 5 Mar 02:30', 'times in UTC+01:00'],
    ],
    [
      'healthy',
      [
        'What fills it 812 MiB as copied 4 Mar 03:30, 7 h ago · 402 revisions a minute',
        'vulnerabilityreports 415 MiB · 51 %',
        'aquasecurity.github.io · 48 % history · 41 namespaces · written by trivy-operator · 310 or more a minute since 1 Mar · +12.0 MiB live a day',
        'secrets 33.0 MiB · 4 % 6 % history · 60 namespaces · encrypted',
        '−2.00 MiB live a day',
        '74 other kinds 51.8 MiB · 6 %',
        'free pages 128 MiB · 16 %',
        'payments 61.0 MiB, checkout-production 40.0 MiB, kube-system 18.0 MiB and 38 more',
      ],
    ],
    ['only a copy behind a compaction, and it is nearly empty', ['behind a compaction']],
    ['a fresh deployment', ['No look yet', 'No run has ended yet', 'Maintenance in 15 h, 5 Mar 02:30']],
    [
      'nobody answers',
      ['Nobody answers', 'none of the 3 client URLs answered', 'Maintenance failed (4 Mar 03:30, 7 h ago)'],
    ],
    ['NOSPACE, with a recovery at work', ['NOSPACE', 'takes no writes', 'Recovery at work since 4 Mar 10:29 (1 min)']],
    ['CORRUPT', ['CORRUPT', 'a person has to act', 'Recovery escalated', 'nothing was changed']],
    ['five members and a learner', ['1 of 5 voters away', 'learner', 'left alone by every run', 'no quota']],
    ['five members and a learner', ['✕ away', 'quota not known', '2.00 MiB live · 28.0 MiB free', 'leader']],
    [
      'twenty runs of all kinds',
      ['15 more', '✓ maintained', '! escalated', '✕ failed', '– nothing to do', '≡ planned'],
    ],
    [
      'an open escalation, and the switch at observe',
      ['Recovery escalated', 'switch observe : plans, changes nothing'],
    ],
    [
      'an open escalation, and the switch at observe',
      ['Filling up', '1.81 GiB of live data remain', 'stops every run'],
    ],
    [
      'a probe that is silent, and a run that died',
      ['Nobody is looking', 'silent for 47 min', 'Maintenance abandoned'],
    ],
    ['no quorum', ['No quorum', '3 of 3 voters are away']],
    ['no access to the table and the switch', ['Incomplete: The probe', 'Switch: parameter', 'AccessDeniedException']],
    [
      'schedules that are off or beyond us',
      ['Pruning never by itself', '0 3 ? * 7L * (America/Argentina/Buenos_Aires)'],
    ],
  ] as const)('%s: %j', (name, words) => {
    const text = textOf(drawPage(situations[name], frame));

    for (const word of words) expect(text).toContain(word);
  });

  it('that an escalation is settled once a run of its kind has come through', () => {
    const at = (hours: number) => iso(NOW - hours * 60 * 60_000);
    const escalated = run({ workflow: 'recover', outcome: 'escalated', reason: 'Too much.', startedAt: at(9) });
    const later = run({ workflow: 'recover', outcome: 'recovered', startedAt: at(8) });

    const text = textOf(drawPage({ ...healthy, runs: [later, escalated] }, frame));

    expect(text).toContain('Last escalated: Recovery (4 Mar 01:30, 9 h ago), settled since. Too much.');
  });

  it.each([
    ['without the domain that all share', ['cp-1.lab.internal', 'cp-2.lab.internal'], ['cp-1', 'cp-2']],
    ['whole, where only the domain tells them apart', ['etcd.zone-1', 'etcd.zone-2'], ['etcd.zone-1', 'etcd.zone-2']],
    ['whole, where they have the same', ['etcd.lab', 'etcd.lab'], ['etcd.lab', 'etcd.lab']],
    ['by their ids, where they have none', ['', ''], ['8e9e05c521646929', '8e9e05c52164692a']],
  ])('names %s', (_, names, expected) => {
    const members = names.map((name, index) => member(index + 1, { name }));

    const page = drawPage({ ...healthy, look: look(members) }, frame);

    expect([...page.matchAll(/class="em-name" title="https[^>]*>([^<]*)</g)].map(([, name]) => name)).toEqual(expected);
  });

  it('what comes next in the order in which it comes, however it is configured', () => {
    const schedules = ['0 5 * * ? *', '0 3 * * ? *', '0 4 * * ? *'].map((cron) => ({
      workflow: 'maintain' as const,
      schedule: { cron, timeZone: 'UTC' },
    }));

    const page = drawPage({ ...healthy, schedules }, frame);

    expect(textOf(page)).toMatch(/in 17 h.*in 18 h.*in 19 h/);
    expect(drawPage({ ...healthy, schedules: schedules.toReversed() }, frame)).toBe(page);
  });
});

const HOSTILE = `<script>alert(1)</script><img src=x onerror="alert(2)">"'&`;

/** Each text of the situation that is free: what a cluster, a server or a person has named or said. */
function withEveryText(text: string): Situation {
  const base = situations['five members and a learner'];
  return {
    ...base,
    cluster: text,
    dispatchArn: text,
    problems: [text],
    mode: { mode: 'observe', detail: text, isProblem: true },
    lease: { workflow: text, acquiredAt: NOW - 1_000, expiresAt: NOW + 1_000 },
    schedules: [{ workflow: 'maintain', schedule: { cron: text, timeZone: text } }],
    look: look(
      [1, 2].map((number) =>
        member(number, { id: text, name: text, endpoint: text, version: text, alarms: [text], problem: text }),
      ),
    ),
    runs: (['failed', 'escalated', 'pruned'] as const).map((outcome) => ({
      ...run({ outcome, reason: text }),
      cluster: text,
      pruned: [{ resource: 'scans.example.com', stale: 3, deleted: 3 }],
    })),
  };
}

describe('the page escapes', () => {
  it.each(frames)('every text that comes from somewhere else ($theme, $width)', (options) => {
    const page = drawPage(withEveryText(HOSTILE), options);

    expect(page).not.toMatch(/<script|<img/i);
    expect(countElements(page)).toEqual(countElements(drawPage(withEveryText('harmless'), options)));
    expect(textOf(page)).toContain(`cluster ${HOSTILE}`);
  });

  it('the texts in a chart too', () => {
    const chart = (name: string) =>
      drawChart({
        width: 400,
        height: 40,
        label: name,
        option: {
          xAxis: { type: 'value' },
          yAxis: { type: 'category', data: [name] },
          series: [{ type: 'bar', data: [1] }],
        },
      }).text;

    expect(countElements(chart(HOSTILE))).toEqual(countElements(chart('harmless')));
    expect(textOf(chart(HOSTILE))).toContain(HOSTILE);
  });

  it('R15: nothing that looks like a key is shown, wherever it came from', () => {
    const secret = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----';

    const page = drawPage(withEveryText(secret), frame);

    expect(page).not.toContain('MHcCAQEE');
    expect(page).toContain('[private key removed]');
  });
});

describe('the buttons', () => {
  const page = drawPage(healthy, frame);
  const elements = elementsOf(page);
  const actions = [
    ...page.matchAll(/<a class="([^"]*)">([^<]*)<\/a><cwdb-action\s([^>]*)>([^<]*)<\/cwdb-action>/g),
  ].map(([, classes = '', label = '', attributes = '', body = '']) => ({
    label,
    classes,
    attributes,
    command: unescapeHtml(body),
  }));

  it('are a dry run and a real one of each workflow', () => {
    const commands = actions.map(({ label, command }) => [label, JSON.parse(command)]);

    expect(commands).toEqual([
      ['Dry run: recover', { workflow: 'recover', dryRun: true }],
      ['Dry run: maintenance', { workflow: 'maintain', dryRun: true }],
      ['Dry run: prune', { workflow: 'prune', dryRun: true }],
      ['Recover…', { workflow: 'recover', dryRun: false }],
      ['Maintain…', { workflow: 'maintain', dryRun: false }],
      ['Prune…', { workflow: 'prune', dryRun: false }],
    ]);
    expect(elements.filter(({ name }) => name === 'cwdb-action')).toHaveLength(actions.length);
  });

  it('say what dispatch understands, with all that CloudWatch adds to it', () => {
    const context = { cluster: 'production', alarms: [], requestId: 'r-1', kinds: {} };
    const widgetContext = { dashboardName: 'd', forms: { all: {} }, params: {}, theme: 'light', width: 588 };

    const orders = actions.map(({ command }) => parseTrigger({ ...JSON.parse(command), widgetContext }, context));

    expect(orders.flat().map(({ kind }) => kind)).toEqual(actions.map(() => 'start'));
  });

  it('R12: let what a guard holds back go once, by the very event that the report advises, and ask before', () => {
    const { runs, dispatchArn } = situations['a guard holds back'];
    const held = drawPage(situations['a guard holds back'], frame);
    const [, attributes = '', body = ''] =
      /Allow it once<\/a><cwdb-action\s([^>]*)>([^<]*)<\/cwdb-action>/.exec(held) ?? [];
    const context = { cluster: 'production', alarms: [], requestId: 'r-1', kinds: {} };

    const [decision] = parseTrigger(JSON.parse(unescapeHtml(body)), context);

    expect(decision).toMatchObject({ kind: 'start', command: { workflow: 'prune', limits: runs[0]?.raise } });
    expect(attributes).toContain(`endpoint="${dispatchArn}"`);
    expect(attributes).toContain('confirmation="Let one run on production delete up to 2,520 vulnerabilityreports');
    expect(held).toContain('Pruning holds back');
    expect(held).not.toContain('give dispatch');
    // Nothing of what is not served, or has nothing stale.
    expect(held).not.toContain('openreports.io');
    expect(held).not.toContain('policyreports');
  });

  it('call dispatch, show its answer over the page, and ask before anything real', () => {
    const settings = elements.filter(({ name }) => name === 'cwdb-action').map(({ attributes }) => attributes);

    expect(settings.map((each) => [each.get('action'), each.get('display'), each.get('endpoint')])).toEqual(
      actions.map(() => ['call', 'popup', healthy.dispatchArn]),
    );
    const asks = settings.map((each) => each.get('confirmation') ?? 'no question');
    expect(asks.slice(0, 3)).toEqual(['no question', 'no question', 'no question']);
    expect(asks.slice(3).every((question) => question.includes('production') && question.includes('?'))).toBe(true);
  });

  it('are there for what is deployed only', () => {
    const text = textOf(drawPage({ ...healthy, workflows: ['recover', 'maintain'] }, frame));

    expect(text).toContain('Dry run: maintenance');
    expect(text).not.toContain('Dry run: prune');
  });
});

describe("a member's bar", () => {
  const draw = (changes: Parameters<typeof member>[1]) => {
    const markup = drawMembers([member(1, changes)], { theme: themeOf(frame), width: 1_060 }).text;
    const svg = markup.slice(markup.indexOf('<svg'), markup.indexOf('</svg>'));
    const boxes = [...svg.matchAll(/<path d="M([\d.]+) [\d.]+l([\d.]+) 0l0 [^"]*" fill="(#\w+)"/g)];
    return boxes.map(([, x, width, fill]) => ({ x: Number(x), width: Number(width), fill }));
  };
  const { track, live, free, ink, bad } = themeOf(frame);

  it('has the live part, the free part and the quota where they belong on the scale', () => {
    // 1,060 pixels with 6 % to spare: 1,000 up to the quota.
    const boxes = draw({ quotaBytes: 4 * GiB, dbSize: 2 * GiB, dbSizeInUse: GiB });

    expect(boxes).toContainEqual({ x: 0, width: 1_060, fill: track });
    expect(boxes).toContainEqual({ x: 0, width: 250, fill: live });
    // Half a pixel on each side is the outline's.
    expect(boxes).toContainEqual({ x: 250.5, width: 249, fill: free });
    expect(boxes).toContainEqual({ x: 999, width: 2, fill: ink });
  });

  it('shows a file that has outgrown its quota, and the quota over it', () => {
    const boxes = draw({ quotaBytes: 2 * GiB, dbSize: 2.5 * GiB, dbSizeInUse: 2.5 * GiB, alarms: ['NOSPACE'] });

    expect(boxes).toContainEqual({ x: 0, width: 1_000, fill: bad });
    expect(boxes.at(-1)).toEqual({ x: 799, width: 2, fill: ink });
  });

  it('shows a little of 8 GiB too', () => {
    const boxes = draw({ quotaBytes: 8 * GiB, dbSize: 2 * 1024 ** 2, dbSizeInUse: 1024 ** 2 });

    expect(boxes.find(({ fill }) => fill === live)?.width).toBe(2);
  });

  it('is only a track where the member does not answer', () => {
    const boxes = draw({ quotaBytes: 8 * GiB, dbSize: null, dbSizeInUse: null });

    expect(boxes.filter(({ width }) => width > 0).map(({ fill }) => fill)).toEqual([track, ink]);
  });
});
