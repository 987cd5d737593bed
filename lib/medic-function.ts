// What all of the functions have in common: runtime, processor, log format, and traces by X-Ray without a line in any
// of them.
import { Validations } from 'aws-cdk-lib';
import {
  Architecture,
  type FunctionProps,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { FunctionVariables } from '../functions/contract/variables.ts';
import { codeOf } from './bundling.ts';

export interface MedicFunctionProps
  extends Omit<
    FunctionProps,
    'code' | 'environment' | 'handler' | 'runtime' | 'architecture' | 'loggingFormat' | 'tracing'
  > {
  readonly functionName: string;
  /** The folder below `functions` with its handler. */
  readonly source: string;
  readonly environment: FunctionVariables;
}

/** A function from its folder's bundle. Its role gets a second policy, by which the CDK lets it send traces. */
export class MedicFunction extends LambdaFunction {
  constructor(scope: Construct, id: string, { source, environment, ...props }: MedicFunctionProps) {
    super(scope, id, {
      ...props,
      ...codeOf(source),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      environment: { ...environment, POWERTOOLS_SERVICE_NAME: props.functionName },
    });
    // Where the CDK writes what a role of one's own is given later.
    const added = this.role?.node.tryFindChild('DefaultPolicy');
    if (added === undefined) throw new Error(`${this.node.path} has no policy that lets it send traces`);
    Validations.of(added).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'xray:PutTraceSegments and xray:PutTelemetryRecords know no resources. They add to traces and read nothing.',
    });
  }
}
