// Changes what a member has stored behind its back, as a bad disk does.
import { open } from 'node:fs/promises';

/** Wherever it stands in the file, where it stands: a member that has it open sees it at once. @param to as long */
export async function replaceInFile(file: string, from: string, to: string): Promise<void> {
  await using handle = await open(file, 'r+');
  const bytes = await handle.readFile();
  let replaced = 0;
  for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at + 1)) {
    replaced += (await handle.write(to, at)).bytesWritten;
  }
  if (replaced === 0) throw new Error(`${file} does not have it`);
}
