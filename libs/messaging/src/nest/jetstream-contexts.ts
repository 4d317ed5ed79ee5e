import { BaseRpcContext } from '@nestjs/microservices';
import type { Tx } from '@sync/postgres';
import type { Batch } from '../consumer-context.ts';
import type { RequestContext } from '../request-reply.ts';

/** `@Ctx()` of an `@EventPattern` handler: the transaction that commits with the watermarks. */
export class BatchContext extends BaseRpcContext<[Tx, readonly Batch[]]> {
  get tx(): Tx {
    return this.getArgByIndex(0) as Tx;
  }

  get batches(): readonly Batch[] {
    return this.getArgByIndex(1) as readonly Batch[];
  }
}

/** `@Ctx()` of a `@MessagePattern` handler. */
export class RequestReplyContext extends BaseRpcContext<[RequestContext]> {
  /** The actual subject, for a pattern with wildcards. */
  get subject(): string {
    return this.#request.subject;
  }

  /** One header of the request, empty when absent. */
  header(name: string): string {
    return this.#request.headers?.get(name) ?? '';
  }

  get #request(): RequestContext {
    return this.getArgByIndex(0) as RequestContext;
  }
}
