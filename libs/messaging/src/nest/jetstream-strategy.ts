import type { NatsConnection } from '@nats-io/transport-node';
import {
  type BaseRpcContext,
  type CustomTransportStrategy,
  type MessageHandler,
  Server,
} from '@nestjs/microservices';
import type { Database } from '@sync/postgres';
import type { StreamDeclaration } from '@sync/protocol';
import { isObservable, lastValueFrom } from 'rxjs';
import type { Batch, BatchHandler, Pruned } from '../consumer-context.ts';
import { PartitionedConsumer } from '../partitioned-consumer.ts';
import type { MessagingLogger, MessagingMetrics } from '../ports.ts';
import { RemoteError, Responder } from '../request-reply.ts';
import { BatchContext, RequestReplyContext } from './jetstream-contexts.ts';

/** Binds a handler to this transport in an app with several: `@EventPattern('DELTAS', JETSTREAM)`. */
export const JETSTREAM = Symbol('JETSTREAM');

export interface JetStreamStrategyOptions {
  readonly nats: NatsConnection;
  readonly database: Pick<Database, 'call' | 'transaction'>;
  /** Name of this service: durable consumers and queue groups carry it. */
  readonly consumer: string;
  /** Streams that an `@EventPattern` may name. */
  readonly streams: readonly StreamDeclaration[];
  readonly logger: MessagingLogger;
  readonly metrics?: MessagingMetrics;
  readonly tenantsOf?: (batch: Batch) => Iterable<string>;
  /** See `ConsumerOptions`. */
  readonly lingerMs?: number;
  readonly afterCommit?: (result: unknown) => void;
  /** Requests that one `@MessagePattern` handles at the same time. */
  readonly concurrency?: number;
}

const PRUNED = '.pruned';

/**
 * Nest's microservice transport over the hop.
 *
 * - `@EventPattern('DOMAIN_EVENTS', { plain: true })`, a stream's name: batches of that stream as
 *   `@Payload() batches: readonly Batch[]`, exactly once by the transaction in `@Ctx() context: BatchContext`;
 *   acknowledged after its commit, repeated when the handler throws.
 * - `@EventPattern('DOMAIN_EVENTS.pruned')`: required beside it, see {@link Pruned}.
 * - `@MessagePattern('sync.push.v1.learning.*')`: request and reply on core NATS in a queue group; throw a
 *   `RemoteError` (with {@link RemoteErrorFilter}) or `new RpcException({ code, message })` to answer with a
 *   code.
 *
 * Not Nest's NATS transport, which has no acknowledgement and no bound, and not one that terminates a message
 * whose handler threw, which loses it.
 */
export class JetStreamStrategy extends Server implements CustomTransportStrategy {
  override readonly transportId = JETSTREAM;
  /** Failures reach the consumer, which retries; Nest need not report them as unhandled. */
  override readonly propagatesEventHandlerErrors = true;
  readonly #options: JetStreamStrategyOptions;
  readonly #consumers: PartitionedConsumer[] = [];
  readonly #responders: Responder[] = [];

  constructor(options: JetStreamStrategyOptions) {
    super();
    this.#options = options;
  }

  /**
   * @param callback gets an error for a pattern that is no stream, and for a stream without its `.pruned`
   * handler
   */
  listen(callback: (error?: unknown) => void): void {
    try {
      for (const [pattern, handler] of this.messageHandlers) this.#bind(pattern, handler);
    } catch (error) {
      callback(error);
      return;
    }
    for (const consumer of this.#consumers) consumer.start();
    callback();
  }

  /** Finishes batches in hand and answers what was asked; nothing new is taken. */
  async close(): Promise<void> {
    await Promise.all(this.#responders.splice(0).map((responder) => responder.stop()));
    await Promise.all(this.#consumers.splice(0).map((consumer) => consumer.stop()));
  }

  on(event: string): never {
    throw new Error(`JetStreamStrategy has no event ${event}: watch the connection's status instead`);
  }

  unwrap<T>(): T {
    return this.#options.nats as T;
  }

  #bind(pattern: string, handler: MessageHandler): void {
    if (handler.isEventHandler !== true) this.#responders.push(this.#respond(pattern, handler));
    else if (!pattern.endsWith(PRUNED)) this.#consumers.push(this.#consume(pattern, handler));
    else this.#declaration(pattern.slice(0, -PRUNED.length));
  }

  #respond(pattern: string, handler: MessageHandler): Responder {
    const { nats, consumer, logger, concurrency = 32 } = this.#options;
    return new Responder({
      nats,
      subject: pattern,
      queue: consumer,
      logger,
      concurrency,
      handle: (body, request) => this.#call(handler, body, new RequestReplyContext([request])),
    });
  }

  #consume(pattern: string, handler: MessageHandler): PartitionedConsumer {
    const stream = this.#declaration(pattern);
    const prunedHandler = this.getHandlerByPattern(`${pattern}${PRUNED}`);
    if (prunedHandler === null) {
      throw new Error(`@EventPattern('${pattern}') needs an @EventPattern('${pattern}${PRUNED}') beside it`);
    }
    const handle: BatchHandler = (tx, batches) =>
      this.#call(handler, batches, new BatchContext([tx, batches]));
    const onPruned = async (pruned: Pruned): Promise<void> => {
      await this.#call(
        prunedHandler,
        pruned,
        new RequestReplyContext([{ subject: pattern, headers: undefined }]),
      );
    };
    const { streams: _declared, concurrency: _requests, ...options } = this.#options;
    const plain = (handler.extras as { plain?: unknown } | undefined)?.plain === true;
    return new PartitionedConsumer({ ...options, stream, plain, handle, onPruned });
  }

  #declaration(name: string): StreamDeclaration {
    const stream = this.#options.streams.find((declared) => declared.name === name);
    if (stream === undefined) throw new Error(`@EventPattern('${name}') names no stream of this strategy`);
    return stream;
  }

  /** Runs a handler to its end, between Nest's processing hooks. @returns its last value */
  async #call(handler: MessageHandler, data: unknown, context: BaseRpcContext): Promise<unknown> {
    const end = this.createProcessingEndHookRunner(context);
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          const result: unknown = await handler(data, context);
          resolve(isObservable(result) ? await lastValueFrom(result, { defaultValue: undefined }) : result);
        } catch (error) {
          reject(asError(error));
        } finally {
          end();
        }
      };
      this.onProcessingStartHook(JETSTREAM, context, run);
    });
  }
}

/** Exception filters answer with plain objects, `{status, message}` or what an `RpcException` was made of. */
function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  const { code, message } = (thrown ?? {}) as { code?: unknown; message?: unknown };
  const text = typeof message === 'string' ? message : 'The handler failed';
  return typeof code === 'string' ? new RemoteError(code, text) : new Error(text, { cause: thrown });
}
