// What stands around a function that answers one event by itself: dispatch, notify, widget. The durable ones have
// engine/pipeline.ts.
import type { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import middy from '@middy/core';
import type { Context } from 'aws-lambda';

/**
 * Each line names the request that it is of, and what one request has added to its lines is gone with the next. Errors
 * are thrown on: Lambda itself writes them to the log, tries an event again and then keeps it in the dead-letter queue.
 */
export function onRequest<Result>(logger: Logger, handle: (event: unknown, context: Context) => Promise<Result>) {
  return middy<unknown, Result>()
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .handler(handle);
}
