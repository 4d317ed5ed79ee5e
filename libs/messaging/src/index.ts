export { connectNats } from './connect-nats.ts';
export type { NatsIdentity, NatsOptions } from './connect-nats.ts';
export type { Batch, BatchHandler, BatchMessage, Pruned } from './consumer-context.ts';
export { WatermarkMovedError } from './inbox-store.ts';
export { assertLease, LeaseKeeper, LeaseLostError } from './lease.ts';
export type { Lease, LeaseKeeperOptions } from './lease.ts';
export { messagingMigrations } from './migration.ts';
export { eventMessages } from './event-messages.ts';
export type { OrderedEvent } from './event-messages.ts';
export { firstThatFit, groupsThatFit } from './first-that-fit.ts';
export type { Room } from './first-that-fit.ts';
export { appendToOutbox, MAX_PAYLOAD_BYTES, PayloadTooLargeError } from './outbox.ts';
export type { OutboxRow } from './outbox.ts';
export { partitionOf } from './partition.ts';
export { IdlePause } from './pacing.ts';
export type { IdlePauses } from './pacing.ts';
export { PartitionedConsumer } from './partitioned-consumer.ts';
export type { ConsumerOptions } from './partitioned-consumer.ts';
export { noMetrics } from './ports.ts';
export type { MessagingLogger, MessagingMetrics, PartitionToken } from './ports.ts';
export { OutboxRelay } from './relay.ts';
export { Pruning, repeatedUpkeep, RepeatedWork } from './repeated-work.ts';
export type { RelayOptions } from './relay.ts';
export {
  JsonText,
  MalformedReplyError,
  MAX_MESSAGE_BYTES,
  MessageTooLargeError,
  NoRespondersError,
  RemoteError,
  request,
  RequestTimeoutError,
  Responder,
  wasUntouched,
} from './request-reply.ts';
export type { RequestContext, RequestOptions, ResponderOptions } from './request-reply.ts';
export { syncEvent } from './sync-event.ts';
export type { Teller } from './sync-event.ts';
export { NotStoringError, StoreProbe } from './store-probe.ts';
export type { Storing } from './store-probe.ts';
export { setTenants, tenantList } from './set-tenants.ts';
export { awaitStreams, ensureStreams, StreamMismatchError } from './streams.ts';
export { faultPoint, startFaultInjection } from './fault-injection.ts';
export { AGAIN, GroupedCalls, type ShareOptions } from './grouped-calls.ts';
