// Changes what a member has stored behind its back, as a bad disk does.
import { readFile, writeFile } from 'node:fs/promises';

/** Wherever it stands in the file. @param to of the same length */
export async function replaceInFile(file: string, from: string, to: string): Promise<void> {
  const bytes = await readFile(file);
  let replaced = 0;
  for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at + 1)) replaced += bytes.write(to, at);
  if (replaced === 0) throw new Error(`${file} does not have it`);
  await writeFile(file, bytes);
}
