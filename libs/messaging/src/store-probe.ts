import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import { PROBE_STREAM, subjects } from '@sync/protocol';
import { restoreStream } from './streams.ts';

/** JetStream answers, or seems to, and stores nothing: its disk is full, or it is stuck. */
export class NotStoringError extends Error {
  override readonly name = 'NotStoringError';
}

/** Something that stores in JetStream all the time, such as a relay. */
export interface Storing {
  /** Why nothing has been stored for a while although there is something to store. */
  standstill(): NotStoringError | undefined;
}

/** So long what was stored last counts as now: readiness is asked for often, by many. */
const FRESH_MS = 3_000;
/** So long it counts at all: one message that is stored late, on a busy disk, is no outage. */
const GRACE_MS = 10_000;
const PUBLISH_TIMEOUT_MS = 1_500;

/**
 * Whether JetStream stores. A connection to NATS says nothing about that: with its disk full, nats-server
 * goes on greeting, answering pings and delivering core messages, and 2.9 never stores again until it is
 * restarted. So a tiny message is really stored, in a stream of its own that keeps 64 KiB. A newer server
 * gives up single streams, so what stores all the time is asked as well.
 */
export class StoreProbe {
  readonly #nats: NatsConnection;
  readonly #jetstream: JetStreamClient;
  readonly #storing: readonly Storing[];
  #storedAtMs = Number.NEGATIVE_INFINITY;
  #probing: Promise<void> | undefined;

  constructor(nats: NatsConnection, storing: readonly Storing[]) {
    this.#nats = nats;
    this.#jetstream = jetstream(nats);
    this.#storing = storing;
  }

  /**
   * Costs at most one small message in three seconds, however often it is called.
   * @throws NotStoringError with what JetStream said last
   */
  async check(): Promise<void> {
    for (const each of this.#storing) {
      const standstill = each.standstill();
      if (standstill !== undefined) throw standstill;
    }
    const ageMs = performance.now() - this.#storedAtMs;
    if (ageMs < FRESH_MS) return;
    this.#probing ??= this.#store().finally(() => (this.#probing = undefined));
    if (ageMs < GRACE_MS) this.#probing.catch(() => undefined);
    else await this.#probing;
  }

  async #store(): Promise<void> {
    try {
      await this.#publish().catch(async (error: unknown) => {
        if (error instanceof errors.TimeoutError) throw error;
        // The store was lost, or this process is the first one.
        await restoreStream(this.#nats, PROBE_STREAM);
        await this.#publish();
      });
      this.#storedAtMs = performance.now();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new NotStoringError(`JetStream does not store: ${reason}`, { cause });
    }
  }

  async #publish(): Promise<void> {
    await this.#jetstream.publish(subjects.storeProbe, undefined, { timeout: PUBLISH_TIMEOUT_MS });
  }
}
