// WCAG 2.2's contrast between a text and what is behind it: 1 (none) to 21 (black on white).

/** @param color as computed styles have it: `rgb(1, 2, 3)` or `rgba(1, 2, 3, 0.5)` */
export function contrast(color: string, background: string, opacity = 1): number {
  const behind = channels(background);
  const { rgb, alpha } = channels(color);
  const seen = rgb.map((value, index) => {
    const share = alpha * opacity;
    return value * share + (behind.rgb[index] ?? 0) * (1 - share);
  });
  const [lighter = 0, darker = 0] = [luminance(seen), luminance(behind.rgb)].sort((a, b) => b - a);
  return (lighter + 0.05) / (darker + 0.05);
}

function channels(color: string): { readonly rgb: readonly number[]; readonly alpha: number } {
  const [red, green, blue, alpha = 1] = (color.match(/[\d.]+/g) ?? []).map(Number);
  if (!color.startsWith('rgb') || red === undefined || green === undefined || blue === undefined) {
    throw new Error(`found the colour ${color}, expected rgb(…)`);
  }
  return { rgb: [red, green, blue], alpha };
}

function luminance(rgb: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
