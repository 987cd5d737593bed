// Draws what the demo prints as a picture of a terminal:
//   FORCE_COLOR=1 npm run -s demo >demo.txt && node_modules/.bin/node test/docs/draw-demo.ts demo.txt
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PICTURE = path.join(import.meta.dirname, '../../docs/pictures/demo.svg');

const COLUMNS = 138;
const COLUMN_PX = 7.8;
const LINE_PX = 19;
const FONT_PX = 13;
const MARGIN_PX = 18;
const GROUND = '#0d1117';
const PLAIN = '#d1d7e0';
/** What styleText and listr2 use of ANSI's colours, on a dark ground. */
const COLOURS: Readonly<Record<string, string>> = { 31: '#ff7b72', 32: '#56d364', 33: '#e3b341', 90: '#6e7681' };

/** A piece of a line in one colour. */
interface Run {
  readonly text: string;
  readonly colour: string;
}

/**
 * The lines that stand on a terminal at the demo's end: without one, each task is told twice, when it begins and when
 * it is done, and only the recovery keeps what it said meanwhile.
 */
function lastScreen(printed: string): string[] {
  const lines = printed.split('\n');
  const recovery = lines.findIndex((line) => begins(line, '✔') && line.includes('Recovery: '));
  const began = lines.findIndex((line) => begins(line, '❯') && line.endsWith('Recovery'));
  const said = lines.slice(began + 1, recovery).map((line) => `  ${line}`);
  return lines.flatMap((line, at) => {
    if (begins(line, '❯') || begins(line, '›')) return [];
    return at === recovery ? [line, ...said] : [line];
  });
}

function begins(line: string, mark: string): boolean {
  return runsOf(line)
    .map(({ text }) => text)
    .join('')
    .startsWith(mark);
}

function runsOf(line: string): Run[] {
  let colour = PLAIN;
  // Text and colours' codes in turns.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with one
  return line.split(/\u001b\[(\d+)m/).flatMap((part, at) => {
    if (at % 2 === 0) return part === '' ? [] : [{ text: part, colour }];
    colour = COLOURS[part] ?? PLAIN;
    return [];
  });
}

/** Breaks what is longer than the terminal is wide; only lines of one colour are. */
function wrapped(runs: readonly Run[]): (readonly Run[])[] {
  const [only, ...more] = runs;
  if (only === undefined || more.length > 0 || only.text.length <= COLUMNS) return [runs];
  const cut = only.text.lastIndexOf(' ', COLUMNS);
  return [[{ ...only, text: only.text.slice(0, cut) }], ...wrapped([{ ...only, text: `   ${only.text.slice(cut)}` }])];
}

/** Each run begins at its own column and is as wide as its columns, whatever font there is. */
function drawLine(runs: readonly Run[], line: number): string {
  let column = 0;
  const spans = runs.map(({ text, colour }) => {
    const x = (MARGIN_PX + column * COLUMN_PX).toFixed(1);
    column += text.length;
    // Blanks that don't break, because those at a line's begin and several in a row would be left out.
    const escaped = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/ /g, '&#160;');
    return `<tspan x="${x}" textLength="${(text.length * COLUMN_PX).toFixed(1)}" fill="${colour}">${escaped}</tspan>`;
  });
  return `<text y="${MARGIN_PX + FONT_PX + line * LINE_PX}">${spans.join('')}</text>`;
}

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('expected the file with what the demo printed');
const lines = ['$ npm run demo', ...lastScreen(readFileSync(file, 'utf8').trim())].flatMap((line) =>
  wrapped(runsOf(line)),
);
const [width, height] = [Math.ceil(2 * MARGIN_PX + COLUMNS * COLUMN_PX), 2 * MARGIN_PX + lines.length * LINE_PX];
const svg = [
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
  '<title>npm run demo: three etcd members fill up, refuse writes, and are brought back</title>',
  `<rect width="100%" height="100%" rx="6" fill="${GROUND}"/>`,
  `<g font-family="'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="${FONT_PX}">`,
  ...lines.map(drawLine),
  '</g>',
  '</svg>',
];
writeFileSync(PICTURE, `${svg.join('\n')}\n`);
