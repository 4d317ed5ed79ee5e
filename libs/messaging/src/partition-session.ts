import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  type ConsumerMessages,
  type ConsumerNotification,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import { backoffMs } from '@sync/domain';
import type { StreamDeclaration } from '@sync/protocol';
import { watchConnection, type ConnectionWatch } from './connection-watch.ts';
import { Wakeup } from './pacing.ts';
import type { MessagingLogger, PartitionToken } from './ports.ts';
import { restoreStream } from './streams.ts';

/**
 * Where the messages go. `accept` resolves when there is room for the next one: that is the back-pressure.
 */
export interface MessageSink {
  accept(message: JsMsg): Promise<void>;
}

export interface SessionOptions {
  readonly nats: NatsConnection;
  readonly stream: StreamDeclaration;
  readonly consumer: string;
  readonly partition: PartitionToken;
  readonly logger: MessagingLogger;
}

/** After this a message that was not acknowledged comes again; `working()` extends it. */
export const ACK_WAIT_MS = 10_000;
/** Unacknowledged messages per partition, over all sessions: a bound for what the broker sends again. */
const MAX_ACK_PENDING = 1_024;
/** Messages the client may hold beyond those handed over; refilled at three quarters. */
const PULL_MESSAGES = 64;
/**
 * The broker sends one for each partition of each consumer. Two that do not come show that it has forgotten
 * the pull without a word. Where something is missing, the announcements of its producer show that earlier;
 * see {@link PartitionSession.renew}.
 */
const IDLE_HEARTBEAT_MS = 10_000;
const PULL_EXPIRES_MS = 30_000;
/** Only a fallback: the reconnect itself wakes the session. */
const DISCONNECTED_MS = 5_000;
const RESTART_BACKOFF = { baseMs: 50, capMs: 2_000 } as const;

/**
 * What ends a session: `consume()` itself neither ends nor throws when its consumer or stream is gone, and a
 * consumer of a recreated stream keeps a floor of the old one.
 */
const BROKEN: ReadonlySet<ConsumerNotification['type']> = new Set([
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'heartbeats_missed',
  'no_responders',
]);

/**
 * Reads one partition from JetStream for as long as its lease is held: a durable pull consumer, made again
 * (with its stream) whenever it is gone. Nothing depends on what JetStream remembers of it: the watermark
 * decides.
 */
export class PartitionSession {
  readonly #options: SessionOptions;
  readonly #sink: MessageSink;
  readonly #wakeup = new Wakeup();
  readonly #connection: ConnectionWatch;
  #messages: ConsumerMessages | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: SessionOptions, sink: MessageSink) {
    this.#options = options;
    this.#sink = sink;
    this.#connection = watchConnection(options.nats);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Something that must have been published has not come: the broker may have lost the pull. */
  renew(): void {
    this.#messages?.stop();
  }

  /** The sink must accept or reject what is being handed over, or this never resolves. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#messages?.stop();
    this.#wakeup.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { logger, stream, partition } = this.#options;
    const forget = this.#connection.onReconnect(() => this.#wakeup.wake());
    let failures = 0;
    while (!this.#isStopped() && !this.#options.nats.isClosed()) {
      if (!this.#connection.connected) {
        await this.#wakeup.sleep(DISCONNECTED_MS);
        continue;
      }
      try {
        const messages = await this.#openConnected();
        failures = 0;
        this.#messages = messages;
        if (this.#isStopped()) messages.stop();
        void this.#supervise(messages);
        for await (const message of messages) {
          if (this.#isStopped()) break;
          await this.#sink.accept(message);
        }
      } catch (error) {
        failures += 1;
        logger.warn({ err: error, stream: stream.name, partition, failures }, 'could not read the stream');
      }
      if (!this.#isStopped())
        await this.#wakeup.sleep(backoffMs(failures + 1, RESTART_BACKOFF, Math.random()));
    }
    forget();
  }

  /** A method, because the compiler would take the field for unchanged after an await. */
  #isStopped(): boolean {
    return this.#stopped;
  }

  /**
   * Gives up when the connection is lost; what opens after that is closed, or it would hold messages nobody
   * reads.
   */
  async #openConnected(): Promise<ConsumerMessages> {
    const opening = this.#open();
    try {
      return await this.#connection.untilDisconnect(opening);
    } catch (error) {
      opening.then((late) => late.stop(), ignore);
      throw error;
    }
  }

  async #open(): Promise<ConsumerMessages> {
    const { nats, stream, consumer, partition } = this.#options;
    const name = `${consumer}-${partition}`;
    await this.#ensureConsumer(name);
    const pull = await jetstream(nats).consumers.get(stream.name, name);
    return pull.consume({
      max_messages: PULL_MESSAGES,
      expires: PULL_EXPIRES_MS,
      idle_heartbeat: IDLE_HEARTBEAT_MS,
    });
  }

  async #ensureConsumer(name: string): Promise<void> {
    const { nats, stream, partition } = this.#options;
    const { consumers } = await jetstreamManager(nats, { checkAPI: false });
    const config = {
      durable_name: name,
      filter_subject: `${stream.subjectPrefix}.${partition}.>`,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      deliver_policy: DeliverPolicy.All,
      max_deliver: -1,
      max_ack_pending: MAX_ACK_PENDING,
    };
    try {
      await consumers.add(stream.name, config);
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      if (error.code === JetStreamApiCodes.StreamNotFound) {
        await restoreStream(nats, stream);
      } else {
        // Same name, other immutable options: an older version made it. The watermark makes starting over
        // harmless.
        await consumers.delete(stream.name, name);
      }
      await consumers.add(stream.name, config);
    }
  }

  async #supervise(messages: ConsumerMessages): Promise<void> {
    const { logger, stream, partition } = this.#options;
    for await (const status of messages.status()) {
      if (!BROKEN.has(status.type)) continue;
      logger.warn(
        { stream: stream.name, partition, status: status.type },
        'consumer is broken, making it again',
      );
      messages.stop();
      return;
    }
  }
}

function ignore(): void {
  // The first error has been reported; this one came after the attempt was given up.
}
