import {
  errors,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node';
import { storableJson, readJson } from '@sync/domain';
import type { MessagingLogger } from './ports.ts';

/** Nobody answers this subject now: the service is down or starting. Try later. */
export class NoRespondersError extends Error {
  override readonly name = 'NoRespondersError';
}

/**
 * No answer in time; whether the request was carried out is unknown, so only idempotent requests may be
 * repeated.
 */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError';
}

/** Request or reply is larger than the bound; nothing was sent. */
export class MessageTooLargeError extends Error {
  override readonly name = 'MessageTooLargeError';
}

/** The reply is no JSON, or `decode` refused it. */
export class MalformedReplyError extends Error {
  override readonly name = 'MalformedReplyError';
}

/**
 * The responder answered `{error: {code, message}}`. Throw it in a responder to answer with a code of one's
 * own.
 */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Answers that say that the responder has not touched what it was asked to do. */
const UNTOUCHED: ReadonlySet<string> = new Set([
  'overloaded',
  'schema_invalid',
  'malformed',
  'shared_failed',
]);

/**
 * Whether a failed {@link request} was certainly not carried out: nobody got it, or whoever did refused it as
 * it was. Otherwise it may have been.
 */
export function wasUntouched(error: unknown): boolean {
  return (
    error instanceof NoRespondersError ||
    error instanceof MessageTooLargeError ||
    (error instanceof RemoteError && UNTOUCHED.has(error.code))
  );
}

/** Below NATS's default bound of 1 MiB, headers included. */
export const MAX_MESSAGE_BYTES = 1_000_000;

/** Options of {@link request}. */
export interface RequestOptions<T> {
  readonly timeoutMs: number;
  /**
   * Checks and types the reply; what it throws becomes a {@link MalformedReplyError}. Without it the reply is
   * trusted.
   */
  readonly decode?: (value: unknown) => T;
  readonly headers?: Readonly<Record<string, string>>;
  readonly maxBytes?: number;
}

/**
 * One JSON request and its JSON reply over core NATS.
 *
 * @throws NoRespondersError | RequestTimeoutError | RemoteError | MessageTooLargeError | MalformedReplyError
 */
export async function request<T>(
  nats: NatsConnection,
  subject: string,
  body: unknown,
  options: RequestOptions<T>,
): Promise<T> {
  const payload = Buffer.from(JSON.stringify(body ?? null));
  assertSize(nats, payload.length, options.maxBytes, `Request to ${subject}`);
  const encoded = encodeHeaders(options.headers);
  let reply: Msg;
  try {
    reply = await nats.request(subject, payload, {
      timeout: options.timeoutMs,
      ...(encoded === undefined ? {} : { headers: encoded }),
    });
  } catch (error) {
    throw translate(error, subject, options.timeoutMs);
  }
  return decodeReply(reply, subject, options);
}

function translate(error: unknown, subject: string, timeoutMs: number): unknown {
  if (error instanceof errors.TimeoutError) {
    return new RequestTimeoutError(`${subject} did not answer within ${timeoutMs} ms`, { cause: error });
  }
  const nobody =
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders());
  return nobody ? new NoRespondersError(`Nobody answers ${subject}`, { cause: error }) : error;
}

function decodeReply<T>(reply: Msg, subject: string, { decode }: RequestOptions<T>): T {
  let value: unknown;
  try {
    value = readJson(reply.string());
  } catch (cause) {
    throw new MalformedReplyError(`The reply of ${subject} is no JSON`, { cause });
  }
  const failure = remoteErrorOf(value);
  if (failure !== undefined) throw failure;
  if (decode === undefined) return value as T;
  try {
    return decode(value);
  } catch (cause) {
    throw new MalformedReplyError(`The reply of ${subject} has an unexpected shape`, { cause });
  }
}

/** The error that an answer of any responder stands for. */
export function remoteErrorOf(value: unknown): RemoteError | undefined {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined;
  const { error } = value;
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string') {
    return undefined;
  }
  const message = 'message' in error && typeof error.message === 'string' ? error.message : error.code;
  return new RemoteError(error.code, message);
}

function encodeHeaders(values: Readonly<Record<string, string>> | undefined): MsgHdrs | undefined {
  if (values === undefined) return undefined;
  const encoded = headers();
  for (const [name, value] of Object.entries(values)) encoded.set(name, value);
  return encoded;
}

/** A server may be configured to take less than the bound: what it would refuse is said here, by its size. */
export function assertSize(
  nats: NatsConnection,
  bytes: number,
  maxBytes = MAX_MESSAGE_BYTES,
  what: string,
): void {
  const most = Math.min(maxBytes, nats.info?.max_payload ?? maxBytes);
  if (bytes > most) throw new MessageTooLargeError(`${what} has ${bytes} bytes, at most ${most}`);
}

/** What a handler may know about its request beside the body. */
export interface RequestContext {
  /** The actual subject, for a responder on a wildcard. */
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
}

/** A reply that is written as JSON already, so that it is not written a second time. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export interface ResponderOptions {
  readonly nats: NatsConnection;
  /** May contain wildcards. */
  readonly subject: string;
  /** Replicas of one queue share the requests. */
  readonly queue: string;
  /**
   * Its result becomes the reply, a {@link JsonText} as it is. Thrown errors with a string `code` are answered
   * with it, others as `internal`.
   */
  readonly handle: (body: unknown, context: RequestContext) => Promise<unknown>;
  readonly logger: MessagingLogger;
  /** Requests handled at the same time. */
  readonly concurrency?: number;
  /** Requests that may wait for that; beyond it the answer is `overloaded` at once. */
  readonly maxWaiting?: number;
  readonly maxBytes?: number;
}

/**
 * Answers JSON requests on a subject until {@link stop}. Core NATS cannot be slowed down, so its bound is a
 * refusal.
 */
export class Responder {
  readonly #options: Required<ResponderOptions>;
  readonly #subscription: Subscription;
  readonly #waiting: Msg[] = [];
  readonly #running = new Set<Promise<void>>();

  constructor(options: ResponderOptions) {
    this.#options = { concurrency: 32, maxWaiting: 256, maxBytes: MAX_MESSAGE_BYTES, ...options };
    this.#subscription = options.nats.subscribe(options.subject, {
      queue: options.queue,
      callback: (error, message) => {
        if (error === null) this.#accept(message);
        else
          options.logger.error({ err: error, subject: options.subject }, 'responder lost its subscription');
      },
    });
  }

  /** Takes no more requests, answers those it has. */
  async stop(): Promise<void> {
    if (!this.#subscription.isClosed()) await this.#subscription.drain();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #accept(message: Msg): void {
    const { concurrency, maxWaiting } = this.#options;
    if (this.#running.size < concurrency) {
      this.#run(message);
    } else if (this.#waiting.length < maxWaiting) {
      this.#waiting.push(message);
    } else {
      this.#options.logger.warn({ subject: message.subject }, 'too many requests, refused one');
      refuse(message, 'overloaded', 'Too many requests are waiting, try again later');
    }
  }

  #run(message: Msg): void {
    const answer = this.#answer(message).finally(() => {
      this.#running.delete(answer);
      const next = this.#waiting.shift();
      if (next !== undefined) this.#run(next);
    });
    this.#running.add(answer);
  }

  async #answer(message: Msg): Promise<void> {
    const { nats, handle, logger, maxBytes } = this.#options;
    let body: unknown;
    try {
      body = message.data.length === 0 ? undefined : readJson(message.string());
    } catch {
      refuse(message, 'malformed', 'The request is no JSON');
      return;
    }
    try {
      const result = await handle(body, { subject: message.subject, headers: message.headers });
      const reply = Buffer.from(result instanceof JsonText ? result.text : JSON.stringify(result ?? null));
      assertSize(nats, reply.length, maxBytes, `Reply to ${message.subject}`);
      message.respond(reply);
    } catch (error) {
      refuseBecause(message, error, logger);
    }
  }
}

/**
 * Tells whoever asked that there is no answer, and why: left without a word it could not tell this service
 * from one that is away.
 */
export function refuseBecause(message: Msg, error: unknown, logger: MessagingLogger): void {
  const { code, text } = describe(error);
  const isOurs = code === 'internal' || code === 'reply_too_large';
  if (isOurs) logger.error({ err: error, subject: message.subject }, 'request failed');
  refuse(message, code, text);
}

/** Only errors made for the caller are shown to it; any other may carry what it must not see. */
function describe(error: unknown): { readonly code: string; readonly text: string } {
  if (error instanceof RemoteError) return { code: error.code, text: error.message };
  if (error instanceof MessageTooLargeError) return { code: 'reply_too_large', text: error.message };
  return { code: 'internal', text: 'The request failed' };
}

function refuse(message: Msg, code: string, text: string): void {
  message.respond(storableJson({ error: { code, message: text } }));
}
