// How much room a text takes at most. A page can't ask for a font nor measure one before it is drawn: room is reserved
// for the widest.

/** In the charts. Pixels, as all below. */
export const FONT_SIZE = 11;

/**
 * In parts of the font size, each group's widest, rounded up: of DejaVu Sans, the widest of the usual fonts (a Linux
 * desktop's without Arial; Verdana is as wide), and of Liberation Sans, which is as wide as Arial and Helvetica. A test
 * measures both in a browser.
 */
const GROUPS: readonly (readonly [characters: RegExp, width: number])[] = [
  [/['Iijl]/, 0.3],
  [/[ !"(),\-./:;[\\\]frt|]/, 0.47],
  [/[a-ln-vx-z0-9]/, 0.64],
  [/[A-LN-VX-Z]/, 0.79],
  [/[Mw]/, 0.87],
  [/[ -~]/, 1.02],
];
/** Emoji, and whatever else there is. */
const OTHERS = 1.4;

/** An upper bound, for a text in one line that is not bold. */
export function widthOf(text: string, fontSize = FONT_SIZE): number {
  const shares = [...text].map((character) => GROUPS.find(([group]) => group.test(character))?.[1] ?? OTHERS);
  return fontSize * shares.reduce((sum, share) => sum + share, 0);
}

/**
 * Where a text begins and ends that is centred at `x`, but moved as far as it has to be not to leave a picture of this
 * width.
 */
export function placeOf(
  text: string,
  x: number,
  width: number,
): { readonly x: number; readonly align: 'left' | 'center' | 'right'; readonly from: number; readonly to: number } {
  const length = widthOf(text);
  // Held at the picture's edge, a narrower font's text is inside all the more.
  if (x + length / 2 > width) return { x: width, align: 'right', from: width - length, to: width };
  if (x - length / 2 < 0) return { x: 0, align: 'left', from: 0, to: length };
  return { x, align: 'center', from: x - length / 2, to: x + length / 2 };
}
