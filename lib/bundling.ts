// How a function's code is packed: one minified ES module with the AWS SDK in it, made by esbuild on this machine.
// Tests build the very same bundles, so that what is deployed is what was tested.
import path from 'node:path';
import { type BundlingOptions, LogLevel, type NodejsFunctionProps, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';

/** The folder of package.json, package-lock.json and node_modules. */
export const projectRoot = path.resolve(import.meta.dirname, '..');

export interface BundleOptions {
  /**
   * The function talks to etcd. etcd3 reads `../proto/*.proto` relative to its own file when it is imported, so these
   * files are copied beside the bundle.
   * @default false
   */
  readonly withEtcd3?: boolean;
}

/** The code of the function `name`: the export `handler` of functions/<name>/handler.ts, and everything that it imports. */
export function codeOf(name: string, options?: BundleOptions): NodejsFunctionProps {
  return {
    entry: path.join(projectRoot, 'functions', name, 'handler.ts'),
    projectRoot,
    depsLockFilePath: path.join(projectRoot, 'package-lock.json'),
    bundling: bundling(options),
  };
}

export function bundling({ withEtcd3 = false }: BundleOptions = {}): BundlingOptions {
  return {
    format: OutputFormat.ESM,
    target: 'node24',
    minify: true,
    logLevel: LogLevel.WARNING,
    // A source map is bigger than the code, costs time at every cold start, and reports hold sentences, not stacks.
    sourceMap: false,
    mainFields: ['module', 'main'],
    // The runtime's own SDK changes without notice, and not all of its clients know durable executions.
    bundleAwsSDK: true,
    externalModules: UNUSED_CREDENTIAL_SOURCES,
    banner: withEtcd3 ? `${REQUIRE_BANNER}${DIRNAME_BANNER}` : REQUIRE_BANNER,
    commandHooks: {
      beforeBundling: () => [],
      beforeInstall: () => [],
      afterBundling: (input, output) =>
        withEtcd3 ? [`cp -r ${quoted(`${input}/node_modules/etcd3/proto`)} ${quoted(`${output}/proto`)}`] : [],
    },
  };
}

/**
 * Profiles, SSO and the like: the SDK imports them when the environment has no credentials, and in Lambda it always has.
 * Left out, each function is 100 kB smaller.
 */
const UNUSED_CREDENTIAL_SOURCES = ['ini', 'process', 'sso', 'web-identity'].map(
  (source) => `@aws-sdk/credential-provider-${source}`,
);

/** CommonJS packages inside an ES module call `require`, which an ES module does not have. */
const REQUIRE_BANNER = "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);";

/** `lib` need not exist: it is only the place from which `../proto` is the folder copied beside the bundle. */
const DIRNAME_BANNER =
  "import{fileURLToPath as __fp}from'node:url';const __filename=__fp(import.meta.url);" +
  "const __dirname=__fp(new URL('lib',import.meta.url));";

/** For bash: the clone may lie in a folder with blanks in its name. */
function quoted(file: string): string {
  return `'${file.replaceAll("'", "'\\''")}'`;
}
