// The widget as a person sees it, in a frame such as CloudWatch's, with each set of fonts. `SCREENSHOTS=<folder>` keeps
// the pictures.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { drawPage } from '../../functions/widget/page.ts';
import type { Situation } from '../../functions/widget/situation.ts';
import { widthOf } from '../../functions/widget/text-width.ts';
import { healthy, look, member, run, situations } from '../widget/situations.ts';
import { launchChromium } from './chromium.ts';
import { contrast } from './contrast.ts';
import { FONT_SETS, type FontSet, fontConfiguration } from './fonts.ts';

/** Of CloudWatch's widgets: today's, and the ones that it had in the dark before. */
const BACKGROUNDS = { light: ['#ffffff'], dark: ['#161d26', '#0f1b2a'] } as const;
/** A widget this high; what is longer is scrolled to. */
const FRAME_HEIGHT = 500;
/** The narrowest that is drawn for. */
const MIN_WIDTH = 280;
/** WCAG's AA for texts of any size. */
const MIN_CONTRAST = 4.5;

const inspection = z.object({
  overflow: z.number(),
  outside: z.array(z.string()),
  overlapping: z.array(z.string()),
  texts: z.array(z.object({ text: z.string(), color: z.string(), background: z.string(), opacity: z.number() })),
  drawn: z.array(z.object({ text: z.string(), width: z.number() })),
  actions: z.array(z.object({ button: z.string(), command: z.unknown(), isHidden: z.boolean() })),
});

/** For the picture: nothing is scrolled to, and what is folded away stays so. */
const showWhole = `
  document.querySelector('#frame').style.height = 'auto';
  for (const details of document.querySelectorAll('details')) details.open = false;`;

const sets = ['dejavu', 'liberation'] as const;
const browsers = new Map<FontSet, Browser>();
/** For fontconfig's files. */
let scratch: string;
let inspectPage: string;

beforeAll(async () => {
  inspectPage = await readFile(new URL('inspect-page.js', import.meta.url), 'utf8');
  scratch = await mkdtemp(join(tmpdir(), 'etcd-medic-browser-'));
  for (const set of sets) browsers.set(set, await launchChromium(await fontConfiguration(set, scratch)));
});
afterAll(async () => {
  for (const browser of browsers.values()) await browser.close();
  if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
});

interface Appearance {
  /** @default dejavu: the wider one */
  readonly fonts?: FontSet;
  readonly theme: 'light' | 'dark';
  readonly width: number;
  readonly background?: string;
}

/** @param troubles gets whatever the page asked for, ran or complained about */
async function open(situation: Situation, appearance: Appearance, troubles: string[]): Promise<Page> {
  const { theme, width, background, fonts = 'dejavu' } = appearance;
  const browser = browsers.get(fonts);
  if (browser === undefined) throw new Error(`no browser was started with the fonts ${fonts}`);
  const page = await browser.newPage({ viewport: { width, height: FRAME_HEIGHT } });
  page.on('console', (message) => troubles.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => troubles.push(`request: ${request.url()}`));
  const frame = `width:${width}px;height:${FRAME_HEIGHT}px;overflow:auto;background:${background ?? BACKGROUNDS[theme][0]}`;
  await page.setContent(
    `<!doctype html><body style="margin:0;font-family:'Amazon Ember','Open Sans',Helvetica,Arial,sans-serif">
     <div id="frame" style="${frame}">${drawPage(situation, { theme, width, offsetMinutes: 60 })}</div>`,
  );
  return page;
}

/** Fonts decide about room, themes about contrast: each width with both fonts, and each theme. */
const appearances = [
  { fonts: 'dejavu', theme: 'light', width: MIN_WIDTH },
  { fonts: 'dejavu', theme: 'light', width: 400 },
  { fonts: 'dejavu', theme: 'dark', width: 1_600 },
  { fonts: 'liberation', theme: 'dark', width: MIN_WIDTH },
  { fonts: 'liberation', theme: 'dark', width: 400 },
  { fonts: 'liberation', theme: 'light', width: 1_600 },
] as const satisfies readonly Appearance[];

describe.each(Object.entries(situations))('the widget: %s', (name, situation) => {
  it.each(appearances)('fits, can be read, and loads nothing ($fonts, $theme, $width pixels)', async (appearance) => {
    const troubles: string[] = [];
    const page = await open(situation, appearance, troubles);
    const picture = `${name.replace(/\W+/g, '-')}-${appearance.fonts}-${appearance.theme}-${appearance.width}.png`;
    const found = inspection.parse(await page.evaluate(inspectPage));
    if (process.env.SCREENSHOTS !== undefined) {
      await page.evaluate(showWhole);
      await page.screenshot({ path: join(process.env.SCREENSHOTS, picture), fullPage: true });
    }
    await page.close();

    expect(troubles).toEqual([]);
    expect(found.overflow).toBeLessThanOrEqual(0);
    expect(found.outside).toEqual([]);
    expect(found.overlapping).toEqual([]);
    expect(found.texts.length).toBeGreaterThan(15);
    const faint = BACKGROUNDS[appearance.theme].flatMap((background) => {
      const frame = rgbOf(BACKGROUNDS[appearance.theme][0]);
      return found.texts
        .map((text) => ({ ...text, background: text.background === frame ? rgbOf(background) : text.background }))
        .filter((text) => contrast(text.color, text.background, text.opacity) < MIN_CONTRAST)
        .map((text) => `${text.text}: ${text.color} on ${text.background}`);
    });
    expect(faint).toEqual([]);
  });
});

describe('the widget', () => {
  it("R15: runs nothing of what a cluster's texts bring along", async () => {
    const hostile = `</style></svg><script>alert(1)</script><img src="https://example.com/x" onerror="alert(2)">"'&`;
    const troubles: string[] = [];
    const situation: Situation = {
      ...healthy,
      cluster: hostile,
      problems: [hostile],
      look: look([member(1, { name: hostile, problem: hostile, alarms: [hostile] })]),
      runs: [run({ outcome: 'escalated', reason: hostile })],
    };

    const page = await open(situation, { theme: 'light', width: 800 }, troubles);
    const text = await page.locator('.em-page').innerText();
    await page.close();

    expect(troubles).toEqual([]);
    expect(text).toContain('<script>alert(1)</script>');
  });

  it('has each order right behind its button, where CloudWatch looks for it, and hides it', async () => {
    const page = await open(healthy, { theme: 'light', width: 800 }, []);
    const { actions } = inspection.parse(await page.evaluate(inspectPage));
    await page.close();

    expect(actions.map(({ isHidden }) => isHidden)).toEqual(Array(6).fill(true));
    expect(actions.map(({ button, command }) => [button, command])).toContainEqual([
      'Dry run: maintenance',
      { workflow: 'maintain', dryRun: true },
    ]);
  });
});

describe.each(sets)('the fonts: %s', (fonts) => {
  it('are the only ones that the page is drawn with', async () => {
    const page = await open(healthy, { fonts, theme: 'light', width: 800 }, []);
    const tools = await page.context().newCDPSession(page);
    await tools.send('DOM.enable');
    await tools.send('CSS.enable');
    const { root } = await tools.send('DOM.getDocument');
    const { nodeId } = await tools.send('DOM.querySelector', { nodeId: root.nodeId, selector: '.em-page' });
    const used = await tools.send('CSS.getPlatformFontsForNode', { nodeId });
    await page.close();

    expect([...new Set(used.fonts.map(({ familyName }) => familyName))]).toEqual([FONT_SETS[fonts].family]);
  });

  it('need no more room in the charts than is reserved for them, whatever is written', async () => {
    const page = await open(healthy, { fonts, theme: 'light', width: 800 }, []);
    const { drawn } = inspection.parse(await page.evaluate(inspectPage));
    const characters = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index));
    const texts = [...drawn.map(({ text }) => text), ...characters, 'zürich', '控制面', '🧯'];
    const measured = z.array(z.number()).parse(
      await page.evaluate(
        `((texts) => {
          const pen = document.createElement('canvas').getContext('2d');
          pen.font = '100px ' + getComputedStyle(document.querySelector('.em-page svg text')).fontFamily;
          return texts.map((text) => pen.measureText(text).width);
        })(${JSON.stringify(texts)})`,
      ),
    );
    await page.close();

    expect(drawn.length).toBeGreaterThan(10);
    expect(drawn.filter(({ text, width }) => width > widthOf(text))).toEqual([]);
    expect(texts.filter((text, index) => (measured[index] ?? Number.NaN) <= widthOf(text, 100))).toEqual(texts);
  });
});

describe('the inspection itself', () => {
  it.each([
    ['texts over each other', '.em-figure { position: absolute; left: 20px }', 'overlapping'],
    ['what is too wide', '.em-head { width: 130% }', 'outside'],
  ] as const)('notices %s', async (_, style, finding) => {
    const page = await open(healthy, { theme: 'light', width: 400 }, []);
    await page.addStyleTag({ content: style });

    const found = inspection.parse(await page.evaluate(inspectPage));
    await page.close();

    expect(found[finding]).not.toEqual([]);
  });

  it.each([
    ['rgb(0, 0, 0)', 'rgb(255, 255, 255)', 1, 21],
    ['rgb(118, 118, 118)', 'rgb(255, 255, 255)', 1, 4.54],
    ['rgb(0, 0, 0)', 'rgb(255, 255, 255)', 0, 1],
  ])('computes the contrast of %s on %s', (color, background, opacity, expected) => {
    expect(contrast(color, background, opacity)).toBeCloseTo(expected, 2);
  });
});

/** As computed styles write it. */
function rgbOf(hex: string): string {
  const [, red = '', green = '', blue = ''] = /^#(..)(..)(..)$/.exec(hex) ?? [];
  return `rgb(${[red, green, blue].map((channel) => Number.parseInt(channel, 16)).join(', ')})`;
}
