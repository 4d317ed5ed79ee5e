/** The part of a pino logger that is used. */
export interface MessagingLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Partition token: a number, or `plain` for events of foreign producers, which carry no numbers. */
export type PartitionToken = number | 'plain';

/** What the hop reports; every call is cheap and synchronous. Labels are bounded by the declared streams. */
export interface MessagingMetrics {
  /** Rows numbered but not yet confirmed by JetStream. */
  relayPending(stream: string, partition: number, messages: number): void;
  relayPublished(stream: string, partition: number, messages: number): void;
  /** How far the watermark is behind the producer's last number, as announced. */
  consumerLag(
    consumer: string,
    stream: string,
    partition: PartitionToken,
    producer: string,
    messages: number,
  ): void;
  consumed(consumer: string, stream: string, partition: PartitionToken, messages: number): void;
  duplicates(consumer: string, stream: string, messages: number): void;
  /** A number was missing, or the producer's head stayed ahead: a replay was asked for. */
  gap(consumer: string, stream: string): void;
  replayed(consumer: string, stream: string, messages: number): void;
  /** A batch failed and will be tried again. */
  retried(consumer: string, stream: string): void;
  leaseMoved(group: string, change: 'acquired' | 'released' | 'lost'): void;
}

/** Metrics that go nowhere, the default. */
export const noMetrics: MessagingMetrics = {
  relayPending: () => undefined,
  relayPublished: () => undefined,
  consumerLag: () => undefined,
  consumed: () => undefined,
  duplicates: () => undefined,
  gap: () => undefined,
  replayed: () => undefined,
  retried: () => undefined,
  leaseMoved: () => undefined,
};
