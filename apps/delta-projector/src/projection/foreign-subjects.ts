import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  type Consumer,
  type ConsumerMessages,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import type { Batch } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { PLAIN_PARTITION, STREAMS } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { ConsumeDomainEvents, Consumed } from './consume-domain-events.ts';
import type { IncomingEvent } from './incoming-event.ts';
import type { ProjectedType } from './projected-type.ts';

export interface ForeignSubjectsOptions {
  readonly database: Pick<Database, 'transaction'>;
  readonly nats: NatsConnection;
  readonly consume: ConsumeDomainEvents;
  readonly logger: Logger;
  /** All registered entity types at this moment. */
  readonly types: () => readonly ProjectedType[];
  /** After each commit. */
  readonly onCommitted: (consumed: Consumed) => void;
}

const MESSAGES_PER_BATCH = 64;
const MAX_ACK_PENDING = 512;
const ACK_WAIT_MS = 30_000;
const RETRY_MS = 1_000;
/** A stream that does not exist may be made later. */
const LOOK_AGAIN_MS = 30_000;
const BROKEN: ReadonlySet<string> = new Set([
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'heartbeats_missed',
  'no_responders',
]);
const OWN_PLAIN_PREFIX = `${STREAMS.DOMAIN_EVENTS.subjectPrefix}.${PLAIN_PARTITION}.`;

/**
 * Consumes the CloudEvents of services that publish on streams of their own (`eventSubjects` of a
 * registration). A durable pull consumer per service and subject, shared by all workers: such events have no
 * numbers, and projection goes by revision and not by order, so nothing has to be leased. On such a stream
 * may be anything; what is no event of a type that names the subject is passed over.
 */
export class ForeignSubjects {
  readonly #options: ForeignSubjectsOptions;
  readonly #readers = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(options: ForeignSubjectsOptions) {
    this.#options = options;
  }

  /** Starts reading subjects that are new; call it again whenever registrations change. */
  follow(): void {
    if (this.#stop.signal.aborted) return;
    for (const { registration } of this.#options.types()) {
      const { service, eventSubjects = [] } = registration;
      for (const subject of eventSubjects) {
        const key = `${service} ${subject}`;
        if (subject.startsWith(OWN_PLAIN_PREFIX) || this.#readers.has(key)) continue;
        this.#readers.set(key, this.#read(service, subject));
      }
    }
  }

  /** Finishes the batches in hand. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#readers.values());
  }

  async #read(service: string, subject: string): Promise<void> {
    const { logger, nats } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted && !nats.isClosed()) {
      let pauseMs = RETRY_MS;
      try {
        const consumer = await this.#open(service, subject);
        if (consumer === null) pauseMs = LOOK_AGAIN_MS;
        else await this.#readUntilBroken(consumer, service, subject);
      } catch (error) {
        logger.warn({ err: error, owner: service, subject }, 'could not read foreign events');
      }
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** @returns null while no stream carries the subject */
  async #open(service: string, subject: string): Promise<Consumer | null> {
    const { nats, logger } = this.#options;
    const manager = await jetstreamManager(nats, { checkAPI: false });
    const [stream] = await manager.streams.names(subject).next();
    if (stream === undefined) {
      logger.debug({ owner: service, subject }, 'no stream carries this subject yet');
      return null;
    }
    const name = `delta-projector-${hash('sha256', `${service} ${subject}`, 'hex').slice(0, 16)}`;
    await manager.consumers.add(stream, {
      durable_name: name,
      filter_subject: subject,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      deliver_policy: DeliverPolicy.All,
      max_deliver: -1,
      max_ack_pending: MAX_ACK_PENDING,
    });
    logger.info({ owner: service, subject, stream }, 'reading foreign events');
    return jetstream(nats).consumers.get(stream, name);
  }

  /** What arrives while a batch is being projected makes up the next one; `max_ack_pending` bounds it. */
  async #readUntilBroken(consumer: Consumer, service: string, subject: string): Promise<void> {
    const waiting: JsMsg[] = [];
    let wake = (): void => undefined;
    const callback = (message: JsMsg): void => {
      waiting.push(message);
      wake();
    };
    const messages = await consumer.consume({ max_messages: MESSAGES_PER_BATCH, callback });
    let ended = this.#stop.signal.aborted;
    const end = (): void => {
      ended = true;
      messages.stop();
      wake();
    };
    this.#stop.signal.addEventListener('abort', end, { once: true });
    void endWhenBroken(messages, end);
    try {
      while (!ended) {
        if (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        else await this.#project(service, subject, waiting.splice(0, MESSAGES_PER_BATCH));
      }
    } finally {
      this.#stop.signal.removeEventListener('abort', end);
      messages.stop();
    }
  }

  async #project(service: string, subject: string, messages: readonly JsMsg[]): Promise<void> {
    const { database, consume, onCommitted } = this.#options;
    const types = this.#typesOf(service, subject);
    const batches = [batchOf(service, messages)];
    const concerns = ({ identity }: IncomingEvent): boolean =>
      identity.entityType !== null && types.has(identity.entityType);
    const projecting = database.transaction((tx) => consume.handle(tx, batches, concerns));
    const consumed = await projecting.catch((error: unknown) => {
      for (const message of messages) message.nak(RETRY_MS);
      throw error;
    });
    for (const message of messages) message.ack();
    onCommitted(consumed);
  }

  #typesOf(service: string, subject: string): ReadonlySet<string> {
    const own = this.#options.types().filter(({ registration }) => {
      return registration.service === service && registration.eventSubjects?.includes(subject);
    });
    return new Set(own.map(({ registration }) => registration.entityType));
  }
}

/** `consume()` itself neither ends nor throws when its consumer or stream is gone. */
async function endWhenBroken(messages: ConsumerMessages, end: () => void): Promise<void> {
  for await (const { type } of messages.status()) {
    if (!BROKEN.has(type)) continue;
    end();
    return;
  }
}

function batchOf(service: string, messages: readonly JsMsg[]): Batch {
  return {
    stream: `foreign ${messages[0]?.info.stream ?? ''}`,
    partition: PLAIN_PARTITION,
    producer: service,
    epoch: null,
    messages: messages.map((message) => ({
      number: null,
      payload: message.string(),
      subject: message.subject,
      headers: Object.fromEntries(
        (message.headers?.keys() ?? []).map((key) => [key, message.headers?.get(key) ?? '']),
      ),
    })),
  };
}
