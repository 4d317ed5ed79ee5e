export { BatchContext, RequestReplyContext } from './jetstream-contexts.ts';
export { JETSTREAM, JetStreamStrategy } from './jetstream-strategy.ts';
export type { JetStreamStrategyOptions } from './jetstream-strategy.ts';
export { RemoteErrorFilter } from './remote-error-filter.ts';
