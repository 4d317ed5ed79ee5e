import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Database } from '@sync/postgres';
import { subjects } from '@sync/protocol';
import type { MessagingLogger } from './ports.ts';
import { assertSize, refuseBecause, RemoteError } from './request-reply.ts';
import { readReplayPage } from './relay-store.ts';
import { encodeReplayPage, type ReplayRequest } from './wire.ts';

/** Bounds of one page: small enough to hand over between two live batches, one round trip for most gaps. */
export const REPLAY_PAGE = { rows: 256, bytes: 524_288 } as const;
/**
 * Requests beyond it are refused; consumers ask again after a pause, and a page is bounded work for the
 * database.
 */
const MAX_WAITING = 64;

/**
 * Answers `sync.replay.v1.<producer>` from the outbox. Any replica of the producer can: it needs no lease,
 * because rows never change after they got their number.
 */
export class ReplayResponder {
  readonly #nats: NatsConnection;
  readonly #database: Pick<Database, 'call'>;
  readonly #logger: MessagingLogger;
  readonly #subscription: Subscription;
  readonly #running = new Set<Promise<void>>();

  constructor(
    nats: NatsConnection,
    database: Pick<Database, 'call'>,
    producer: string,
    logger: MessagingLogger,
  ) {
    this.#nats = nats;
    this.#database = database;
    this.#logger = logger;
    this.#subscription = nats.subscribe(subjects.replay(producer), {
      queue: 'replay',
      callback: (error, message) => {
        if (error !== null) logger.error({ err: error }, 'replay subscription failed');
        else this.#accept(message);
      },
    });
  }

  async stop(): Promise<void> {
    if (!this.#subscription.isClosed()) await this.#subscription.drain();
    await Promise.all(this.#running);
  }

  #accept(message: Msg): void {
    if (this.#running.size >= MAX_WAITING) {
      const full = new RemoteError('overloaded', 'Too many replays are waiting, try again later');
      refuseBecause(message, full, this.#logger);
      return;
    }
    const answer = this.#answer(message).finally(() => this.#running.delete(answer));
    this.#running.add(answer);
  }

  async #answer(message: Msg): Promise<void> {
    try {
      const request = decodeRequest(message);
      if (request === undefined) throw new RemoteError('malformed', 'This is no replay request');
      const page = await readReplayPage(this.#database, request, REPLAY_PAGE);
      // An unknown partition has given no number yet; an empty epoch equals nobody's.
      const bytes = encodeReplayPage(page ?? { epoch: '', first: 1, last: 0, pruned: false, messages: [] });
      assertSize(this.#nats, bytes.length, undefined, `Reply to ${message.subject}`);
      message.respond(bytes);
    } catch (error) {
      refuseBecause(message, error, this.#logger);
    }
  }
}

function decodeRequest(message: Msg): ReplayRequest | undefined {
  let value: { readonly [key in keyof ReplayRequest]?: unknown } | null;
  try {
    value = message.json();
  } catch {
    return undefined;
  }
  const { stream, partition, epoch, after } = value ?? {};
  if (typeof stream !== 'string' || typeof epoch !== 'string') return undefined;
  if (!isCount(partition) || partition > 65_535 || !isCount(after)) return undefined;
  return { stream, partition, epoch, after };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
