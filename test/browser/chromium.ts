// A headless Chromium that talks to nobody: Debian's, or the one that CHROMIUM_BIN names.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/**
 * @param fontConfiguration a file of fontconfig's: the only fonts that it sees
 * @throws Error with one line on what to install
 */
export async function launchChromium(fontConfiguration: string): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(`no Chromium at ${executablePath}: apt-get install chromium, or name another one in CHROMIUM_BIN`);
  }
  return chromium.launch({
    executablePath,
    env: { ...process.env, FONTCONFIG_FILE: fontConfiguration },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    // A page that is scrolled down has a scroll bar, which takes its width.
    ignoreDefaultArgs: ['--hide-scrollbars'],
  });
}
