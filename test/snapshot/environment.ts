// An S3 stand-in that this process's AWS clients find, as the SDK finds any endpoint: by the environment.
import { type S3StandIn, startS3 } from '../../lab/aws/s3.ts';
import type { ApiCall } from '../../lab/aws/server.ts';

export interface S3Environment extends AsyncDisposable {
  readonly s3: S3StandIn;
  readonly calls: readonly ApiCall[];
  /** For a process of its own. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Sets the variables in this process; disposing of it sets back what was there. */
export async function enterS3(): Promise<S3Environment> {
  const calls: ApiCall[] = [];
  const s3 = await startS3(calls);
  const variables = {
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return {
    s3,
    calls,
    variables,
    [Symbol.asyncDispose]: async () => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      await s3[Symbol.asyncDispose]();
    },
  };
}
