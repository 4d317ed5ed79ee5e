import { readJson } from '@sync/domain';
import { randomUUID } from 'node:crypto';
import { subjects } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { GatewayNews, News, NewsListener } from './gateway-news.ts';

/** Names in one hint: some 100 kB, far below what NATS carries in a message. */
const NAMES_PER_HINT = 1_000;

/**
 * Spreads news over the replicas by core NATS. Hints are read by our own replicas only; one that cannot be
 * read is dropped, because everything in it is found within a second anyway.
 */
export class ExchangeHints implements GatewayNews {
  readonly #nats: NatsConnection;
  readonly #logger: Logger;
  readonly #listeners: NewsListener[] = [];
  readonly #replica = randomUUID();
  #subscription: Subscription | undefined;

  constructor(nats: NatsConnection, logger: Logger) {
    this.#nats = nats;
    this.#logger = logger;
  }

  listen(listener: NewsListener): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#subscription = this.#nats.subscribe(subjects.gatewayHint, {
      callback: (error, message) => {
        if (error === null) this.#receive(message.string());
        else this.#logger.error({ err: error }, 'hints from other replicas cannot be received');
      },
    });
  }

  stop(): void {
    if (this.#subscription?.isClosed() === false) this.#subscription.unsubscribe();
  }

  announce(news: News): void {
    this.tellHere(news);
    if (this.#nats.isClosed()) return;
    for (const part of cut(news)) {
      this.#nats.publish(subjects.gatewayHint, JSON.stringify({ from: this.#replica, news: part }));
    }
  }

  /** For what every replica finds out by itself. */
  tellHere(news: News): void {
    for (const listener of this.#listeners) listener(news);
  }

  #receive(text: string): void {
    try {
      const hint = readJson(text) as { from?: unknown; news?: News };
      if (hint.from !== this.#replica && hint.news) this.tellHere(hint.news);
    } catch (error) {
      this.#logger.warn({ err: error }, 'a hint cannot be read');
    }
  }
}

function* cut(news: News): Generator<News> {
  const { scopes = [], users = [], devices = [], everything = false } = news;
  const most = Math.max(scopes.length, users.length, devices.length, everything || news.ingests ? 1 : 0);
  // In parts, each of which may be lost, it is no longer known that all of it has come.
  if (most <= NAMES_PER_HINT) {
    if (most > 0) yield news;
    return;
  }
  for (let at = 0; at < most; at += NAMES_PER_HINT) {
    const to = at + NAMES_PER_HINT;
    yield {
      scopes: scopes.slice(at, to),
      users: users.slice(at, to),
      devices: devices.slice(at, to),
      everything: everything && at === 0,
    };
  }
}
