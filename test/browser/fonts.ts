// The fonts that the browser draws with, whatever this machine has: Debian's packages in the cache folder, unpacked
// without root.
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import { cachedPackage, unpackIntoCache } from '../../lab/control-plane/package-cache.ts';

/**
 * The usual sans of a machine without Arial. `dejavu` is the widest of them (as wide as Verdana, from which it takes
 * its proportions), `liberation` has the widths of Arial and Helvetica.
 */
export const FONT_SETS = {
  dejavu: { package: 'fonts-dejavu-core', folder: 'dejavu', family: 'DejaVu Sans' },
  liberation: { package: 'fonts-liberation', folder: 'liberation', family: 'Liberation Sans' },
} as const;

export type FontSet = keyof typeof FONT_SETS;

/** Fonts are not in the cache, and could not be fetched; the message says what to install. */
class FontsNotFoundError extends EtcdMedicError {
  override readonly name = 'FontsNotFoundError';
}

/**
 * From the cache or, once, from Debian.
 * @param into an existing folder, which gets the configuration and fontconfig's own cache
 * @returns the path of a file for `FONTCONFIG_FILE`, with which a program sees this set and no other font
 * @throws FontsNotFoundError in one line
 */
export async function fontConfiguration(set: FontSet, into: string): Promise<string> {
  const { family } = FONT_SETS[set];
  const fonts = await findFonts(set);
  const file = join(into, `fonts-${set}.conf`);
  // What Debian's own files come to where nothing else is installed: these stand in for Helvetica and Arial, too.
  const aliases = ['sans-serif', 'Helvetica', 'Arial'].map(
    (name) => `<alias binding="same"><family>${name}</family><prefer><family>${family}</family></prefer></alias>`,
  );
  await writeFile(
    file,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<dir>${fonts}</dir>
<cachedir>${join(into, `fonts-${set}`)}</cachedir>
${aliases.join('\n')}
</fontconfig>
`,
  );
  return file;
}

/** @returns the folder of the set's files */
async function findFonts(set: FontSet): Promise<string> {
  const { package: name, folder } = FONT_SETS[set];
  const inPackage = (root: string) => join(root, 'usr/share/fonts/truetype', folder);
  try {
    return inPackage(await unpackIntoCache(name, (root) => isThere(inPackage(root)), process.env));
  } catch (error) {
    const why = describeError(error).replace(/\s+/g, ' ');
    throw new FontsNotFoundError(
      `${name} could not be fetched (${why}): try again with Debian's archive in reach, or unpack the package with ` +
        `dpkg-deb -x to ${cachedPackage(name, process.env)}`,
      { cause: error },
    );
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
