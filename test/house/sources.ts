// The project's own source files, and who imports whom among them.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export const root = new URL('../..', import.meta.url).pathname;

const FOLDERS = ['bench', 'bin', 'functions', 'lab', 'lib', 'test'];
/** Of values and of types: `import … from`, `export … from`, `import '…'`, `import('…')`. */
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"]+)\1/g;

export interface Text {
  /** From the project's root, with `/`. */
  readonly file: string;
  readonly text: string;
}

/** Files that match, in the order of their paths. */
export function textsOf(patterns: readonly string[], exclude: readonly string[] = []): readonly Text[] {
  return globSync([...patterns], { cwd: root, exclude: [...exclude] })
    .map((file) => normalize(file))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));
}

/** Paths from the project's root, with `/`. */
function sourceFiles(): string[] {
  return FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root })).sort();
}

export interface Imports {
  /** Files of the project, by their paths. */
  readonly files: readonly string[];
  /** Packages and Node's own modules, as they are written. */
  readonly packages: readonly string[];
}

function importsOf(file: string): Imports {
  const names = [...readFileSync(join(root, file), 'utf8').matchAll(IMPORT)].map(([, , name]) => name ?? '');
  return {
    files: names.filter((name) => name.startsWith('.')).map((name) => normalize(join(dirname(file), name))),
    packages: names.filter((name) => !name.startsWith('.')),
  };
}

export function importGraph(): ReadonlyMap<string, Imports> {
  return new Map(sourceFiles().map((file) => [file, importsOf(file)]));
}

/** A file and all that it imports, directly or not. */
export function closureOf(file: string, graph: ReadonlyMap<string, Imports>): ReadonlySet<string> {
  const seen = new Set<string>();
  const left = [file];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    left.push(...(graph.get(next)?.files ?? []));
  }
  return seen;
}

/** A way from a file back to itself; undefined: there is none. */
export function circleThrough(file: string, graph: ReadonlyMap<string, Imports>): readonly string[] | undefined {
  const seen = new Set<string>();
  const walk = (path: readonly string[]): readonly string[] | undefined => {
    for (const next of graph.get(path.at(-1) ?? '')?.files ?? []) {
      if (next === file) return [...path, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = walk([...path, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return walk([file]);
}
