// How a function's code gets into the stack: packed by pack-function.ts on this machine while the app is synthesised.
// Tests build the very same bundles, so that what is deployed is what was tested.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code, type FunctionProps } from 'aws-cdk-lib/aws-lambda';

/** The folder of package.json, package-lock.json and node_modules. */
export const projectRoot = path.resolve(import.meta.dirname, '..');

const PACK_FUNCTION = path.join(import.meta.dirname, 'pack-function.ts');

/**
 * The code of the function `name`: the export `handler` of functions/<name>/handler.ts, and everything that it imports.
 */
export function codeOf(name: string): Pick<FunctionProps, 'code' | 'handler'> {
  const code = Code.fromAsset(path.join(projectRoot, 'functions', name), {
    // A function is deployed again when its bundle changes, whatever changed it.
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Docker would come in where the local way can't be gone; that one throws instead.
      image: DockerImage.fromRegistry('none'),
      local: {
        tryBundle: (folder) => {
          packFunction(name, folder);
          return true;
        },
      },
    },
  });
  return { code, handler: 'index.handler' };
}

/**
 * In a process of its own, because the CDK waits for nothing and esbuild's plugins can't be waited for in any other
 * way.
 * @throws Error with esbuild's own words
 */
function packFunction(name: string, folder: string): void {
  const { status, stderr, error } = spawnSync(process.execPath, [PACK_FUNCTION, name, folder], { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`functions/${name} could not be packed: ${stderr || error}`, { cause: error });
}
