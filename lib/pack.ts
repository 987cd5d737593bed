// Packs one function for Lambda: functions/<name>/handler.ts and all that it imports, as `index.mjs` and the modules
// that it loads when they are first needed.
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { packProto } from './packed-proto.ts';
import { isPackedInPart, SDK_PARTS } from './sdk-parts.ts';
import { NOTICES_FILE, noticesOf, thirdPartiesIn } from './third-party.ts';

const projectRoot = path.resolve(import.meta.dirname, '..');

/**
 * Writes the bundle into the folder, with the notices of whose code is in it.
 * @returns esbuild's account of its modules; paths are relative to the project
 * @throws BuildFailure
 */
export async function packFunction(name: string, folder: string): Promise<Metafile['outputs']> {
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
    // They are beside the code, in one file that no start loads.
    legalComments: 'none',
    // Checks that are for developers are left out: 25 kB of advice in ECharts alone. An ES module has no `__dirname`,
    // and beside the bundle there is nothing to read.
    define: { 'process.env.NODE_ENV': '"production"', __dirname: '""' },
    mainFields: ['module', 'main'],
    // The SDK is packed too: the runtime's own changes without notice, and not all of its clients know durable
    // executions.
    external: NEVER_LOADED,
    plugins: [sdkInParts, sdkVersions, undiciInPart, protosInPart],
    banner: { js: REQUIRE_BANNER },
    logLevel: 'warning',
    metafile: true,
  });
  const outputs = await keepReached(metafile);
  await writeFile(path.join(folder, NOTICES_FILE), noticesOf(await thirdPartiesIn(outputs)));
  return outputs;
}

/**
 * Removes the modules that nothing loads: esbuild leaves out a function that is not called, but writes what only that
 * one would import.
 * @returns the others
 */
async function keepReached({ outputs }: Metafile): Promise<Metafile['outputs']> {
  const reached = new Map<string, Metafile['outputs'][string]>();
  const visit = (file: string) => {
    const output = outputs[file];
    if (output === undefined || reached.has(file)) return;
    reached.set(file, output);
    for (const imported of output.imports) visit(imported.path);
  };
  for (const [file, { entryPoint }] of Object.entries(outputs)) if (entryPoint?.endsWith('/handler.ts')) visit(file);
  const others = Object.keys(outputs).filter((file) => !reached.has(file));
  await Promise.all(others.map((file) => rm(path.resolve(projectRoot, file))));
  return Object.fromEntries(reached);
}

/**
 * Makes of `import('@aws-sdk/client-…')` an import of the parts that are used; esbuild would pack all that the client
 * can do, since anything may be asked of what such an import returns.
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

/** Of its package.json a client reads its version alone. */
const sdkVersions: Plugin = {
  name: 'sdk-versions',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]@aws-sdk[\\/]client-[\w-]+[\\/]package\.json$/ }, async ({ path: file }) => {
      const { version }: { version?: unknown } = JSON.parse(await readFile(file, 'utf8'));
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
  },
};

/**
 * undici is CommonJS: whoever imports its connections gets its fetch, WebSocket, mocks and caches too, 250 kB. Its
 * index.js makes an Agent of the same parts. `fetch` is named by a part of @kubernetes/client-node that is not used;
 * any other name is an error here.
 */
const undiciInPart: Plugin = {
  name: 'undici-in-part',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'undici-part' }));
    onLoad({ filter: /^/, namespace: 'undici-part' }, () => ({ contents: UNDICI_PART, resolveDir: projectRoot }));
  },
};

const UNDICI_PART = `
  import Agent from 'undici/lib/dispatcher/agent.js';
  import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
  import calls from 'undici/lib/api/index.js';
  Object.assign(Dispatcher.prototype, calls);
  export { Agent };
  export function fetch() { throw new Error('undici: only its Agent is packed'); }
`;

/** etcd3 reads its `.proto` files when it is imported. */
const protosInPart: Plugin = {
  name: 'protos-in-part',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@grpc\/proto-loader$/ }, () => ({ path: 'proto-loader', namespace: 'protos-in-part' }));
    onLoad({ filter: /^/, namespace: 'protos-in-part' }, () => {
      const packed = packProto(fileURLToPath(new URL('../proto/rpc.proto', import.meta.resolve('etcd3'))));
      const contents = `
        import { lightProtoLoader } from './lib/light-proto-loader.ts';
        export const { loadSync } = lightProtoLoader(JSON.parse(${JSON.stringify(JSON.stringify(packed))}));
      `;
      return { contents, resolveDir: projectRoot };
    });
  },
};

/**
 * Profiles, SSO and the like, which the SDK imports when the environment has no credentials, and in Lambda it always
 * has; and what it reads a browser's name with.
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
