import { JetStreamApiCodes, JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import type { Database } from '@sync/postgres';
import type { StreamDeclaration } from '@sync/protocol';
import type { Lease } from './lease.ts';
import type { MessagingLogger } from './ports.ts';
import { openHead, restartEpoch, type OutboxHead } from './relay-store.ts';
import { decodeNumber, messageSubject, type MessageNumber } from './wire.ts';

/** A partition of the outbox that is about to be published. */
export interface RelayPlace {
  readonly stream: StreamDeclaration;
  readonly partition: number;
  readonly producer: string;
}

/**
 * The head of a partition, made sure to be the newest there is: numbers are durable before they are
 * published, so a stream that holds a higher number of our epoch proves that the database was set back. Then
 * a new epoch begins.
 *
 * @throws errors of the database and of JetStream; nothing may be numbered before this has succeeded once
 */
export async function openVerifiedHead(
  database: Pick<Database, 'call'>,
  nats: NatsConnection,
  { stream, partition, producer }: RelayPlace,
  lease: Lease,
  logger: MessagingLogger,
): Promise<OutboxHead> {
  const head = await openHead(database, stream.name, partition);
  const last = await lastPublished(nats, stream, messageSubject(stream, partition, producer));
  if (last?.epoch !== head.epoch || last.number <= head.number) return head;
  const fields = { stream: stream.name, partition, producer, stored: head.number, published: last.number };
  logger.error(fields, 'this database is older than what it has published: starting a new epoch');
  return restartEpoch(database, { stream: stream.name, partition }, head, lease);
}

/**
 * Asked by a direct get, whose subject has ours in it: a service needs no right to read anything else of the
 * stream. In a cluster a copy that lags may answer, by milliseconds; restoring a database takes longer.
 */
async function lastPublished(
  nats: NatsConnection,
  stream: StreamDeclaration,
  subject: string,
): Promise<MessageNumber | undefined> {
  const query = { last_by_subj: subject };
  const { direct, streams } = await jetstreamManager(nats, { checkAPI: false });
  const message = await direct.getMessage(stream.name, query).catch(async (error: unknown) => {
    if (!(error instanceof errors.RequestError && error.isNoResponders())) throw error;
    // There is no such stream, or it is older than direct gets are here.
    return streams.getMessage(stream.name, query).catch((reason: unknown) => {
      const isMissing =
        reason instanceof JetStreamApiError && reason.code === JetStreamApiCodes.StreamNotFound;
      if (isMissing) return null;
      throw reason;
    });
  });
  return message === null ? undefined : decodeNumber(message.subject, message.header);
}
