export { startNats } from './nats-server.ts';
export type { RunningNats, StartNatsOptions } from './nats-server.ts';
export { NatsServerMissingError, resolveNatsServer } from './resolve-nats-server.ts';
export type { ResolveNatsServerOptions } from './resolve-nats-server.ts';
