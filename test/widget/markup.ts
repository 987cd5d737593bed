// Takes HTML apart as far as the tests need it: which elements with which attributes there are.

export interface Element {
  readonly name: string;
  /** As they are written, still escaped. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** Every start tag, in order. What is inside `<style>` has none. */
export function elementsOf(markup: string): readonly Element[] {
  const body = markup.replace(/<style>.*?<\/style>/gs, '<style></style>');
  return [...body.matchAll(/<([^\s/>]+)((?:\s+[^\s=>]+="[^"]*")*)\s*\/?>/g)].map(([, name = '', attributes = '']) => ({
    name,
    attributes: new Map(
      [...attributes.matchAll(/([^\s=]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
    ),
  }));
}

/** How often each element is there. */
export function countElements(markup: string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { name } of elementsOf(markup)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** What a person reads: without tags, entities resolved, blanks made one. */
export function textOf(markup: string): string {
  return unescapeHtml(markup.replace(/<style>.*?<\/style>/gs, ' ').replace(/<[^>]*>/g, ' '))
    .replace(/\s+/g, ' ')
    .trim();
}

export function unescapeHtml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
