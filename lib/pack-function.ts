// Packs one function for Lambda: `node lib/pack-function.ts <name> <folder>` writes functions/<name>/handler.ts and all that
// it imports into the folder, as `index.mjs` and the modules that it loads when they are first needed.
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';
import { isPackedInPart, SDK_PARTS } from './sdk-parts.ts';

const projectRoot = path.resolve(import.meta.dirname, '..');

async function packFunction(name: string, folder: string): Promise<void> {
  const { metafile } = await build({
    entryPoints: { index: path.join(projectRoot, 'functions', name, 'handler.ts') },
    outdir: folder,
    absWorkingDir: projectRoot,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    // What is imported when it is first needed becomes a file of its own: a start loads three quarters of recover.
    splitting: true,
    minify: true,
    // A source map is bigger than the code, costs time at every cold start, and reports hold sentences, not stacks.
    sourcemap: false,
    legalComments: 'none',
    mainFields: ['module', 'main'],
    // The SDK is packed too: the runtime's own changes without notice, and not all of its clients know durable executions.
    external: NEVER_LOADED,
    plugins: [sdkInParts],
    banner: { js: REQUIRE_BANNER + DIRNAME_BANNER },
    logLevel: 'warning',
    metafile: true,
  });
  // etcd3 reads `../proto/*.proto` relative to its own file when it is imported.
  if (Object.keys(metafile.inputs).some((file) => file.includes('node_modules/etcd3/'))) {
    await cp(new URL('../proto', import.meta.resolve('etcd3')), path.join(folder, 'proto'), { recursive: true });
  }
}

/**
 * Makes of `import('@aws-sdk/client-…')` an import of the parts that are used; esbuild would pack all that the client can do, since
 * anything may be asked of what such an import returns.
 */
const sdkInParts: Plugin = {
  name: 'sdk-in-parts',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@aws-sdk\// }, ({ kind, path: client }) =>
      kind === 'dynamic-import' && isPackedInPart(client) ? { path: client, namespace: 'sdk-part' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'sdk-part' }, ({ path: client }) =>
      isPackedInPart(client)
        ? { contents: `export { ${SDK_PARTS[client].join(', ')} } from '${client}';`, resolveDir: projectRoot }
        : undefined,
    );
  },
};

/**
 * Profiles, SSO and the like, which the SDK imports when the environment has no credentials, and in Lambda it always has; and
 * what it reads a browser's name with.
 */
const NEVER_LOADED = [
  '@aws-sdk/credential-provider-ini',
  '@aws-sdk/credential-provider-process',
  '@aws-sdk/credential-provider-sso',
  '@aws-sdk/credential-provider-web-identity',
  'bowser',
];

/** CommonJS packages inside an ES module call `require`, which an ES module does not have. */
const REQUIRE_BANNER = "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);";

/** `lib` need not exist: it is only the place from which `../proto` is the folder copied beside the bundle. */
const DIRNAME_BANNER =
  "import{fileURLToPath as __fp}from'node:url';const __filename=__fp(import.meta.url);" +
  "const __dirname=__fp(new URL('lib',import.meta.url));";

const [, , functionName = '', outputFolder = ''] = process.argv;
await packFunction(functionName, outputFolder);
