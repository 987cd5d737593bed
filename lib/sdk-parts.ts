// What the functions use of the SDK's clients that they import when they are first needed. Nothing else of these is
// packed.

type NamesOf<Client> = readonly (keyof Client)[];

interface SdkParts {
  readonly '@aws-sdk/client-dynamodb': NamesOf<typeof import('@aws-sdk/client-dynamodb')>;
  readonly '@aws-sdk/client-eventbridge': NamesOf<typeof import('@aws-sdk/client-eventbridge')>;
  readonly '@aws-sdk/client-lambda': NamesOf<typeof import('@aws-sdk/client-lambda')>;
  readonly '@aws-sdk/client-secrets-manager': NamesOf<typeof import('@aws-sdk/client-secrets-manager')>;
}

/** A client that is not here is packed whole. A test compares the lists with the sources. */
export const SDK_PARTS: SdkParts = {
  '@aws-sdk/client-dynamodb': [
    'DeleteItemCommand',
    'DynamoDBClient',
    'GetItemCommand',
    'PutItemCommand',
    'QueryCommand',
    'UpdateItemCommand',
  ],
  '@aws-sdk/client-eventbridge': ['EventBridgeClient', 'PutEventsCommand'],
  // By the durable execution SDK.
  '@aws-sdk/client-lambda': ['CheckpointDurableExecutionCommand', 'GetDurableExecutionStateCommand', 'LambdaClient'],
  '@aws-sdk/client-secrets-manager': ['GetSecretValueCommand', 'SecretsManagerClient'],
};

export function isPackedInPart(client: string): client is keyof SdkParts {
  return Object.hasOwn(SDK_PARTS, client);
}
