import {
  connect,
  type ConnectionOptions,
  type NatsConnection,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import { inboxPrefix } from '@sync/protocol';
import type { MessagingLogger } from './ports.ts';

/** Who a service is on NATS: its name, and the seed (`SU…`) of its nkey. */
export interface NatsIdentity {
  readonly service: string;
  readonly nkeySeed: string;
}

/**
 * Options of {@link connectNats}. Credentials: an `identity`, or `authenticator`, `token` or `user` and
 * `pass`.
 */
export type NatsOptions = Pick<
  ConnectionOptions,
  'authenticator' | 'token' | 'user' | 'pass' | 'tls' | 'waitOnFirstConnect'
> & {
  /** `nats://host:port`, several for a cluster; a `user:password@` before the host of the first one counts. */
  readonly url: string | readonly string[];
  /** Replies come to a prefix of the service's own, where the server lets nobody else listen. */
  readonly identity?: NatsIdentity;
  /** Shown in the server's connection list. */
  readonly name: string;
  readonly logger?: MessagingLogger;
};

const RECONNECT_WAIT_MS = 250;
const RECONNECT_JITTER_MS = 250;
/** Two lost pings end the connection: a frozen server is noticed within 15 s. */
const PING_INTERVAL_MS = 5_000;

/**
 * Connects and stays connected: reconnects for ever, quarter of a second apart with jitter. Waits for the
 * first connection too (services and NATS start together) unless `waitOnFirstConnect` is false.
 * `nats.drain()` ends it.
 */
export async function connectNats(options: NatsOptions): Promise<NatsConnection> {
  const { url, name, logger, identity, waitOnFirstConnect = true, ...credentials } = options;
  const urls = typeof url === 'string' ? [url] : url;
  const nats = await connect({
    ...userOf(urls[0] ?? ''),
    ...credentials,
    ...(identity !== undefined && {
      authenticator: nkeyAuthenticator(new TextEncoder().encode(identity.nkeySeed)),
      inboxPrefix: inboxPrefix(identity.service),
    }),
    servers: urls.map(withoutUser),
    name,
    waitOnFirstConnect,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    // The default gives up on an expired or changed credential for good; a restart would be the only way
    // back.
    ignoreAuthErrorAbort: true,
    // Of each request the client would keep two stacks, in case it fails. `request` throws errors of its own,
    // with the stack of whoever waits.
    noAsyncTraces: true,
  });
  if (logger !== undefined) void logStatus(nats, name, logger);
  return nats;
}

const USER = /^(\w+:\/\/)([^:@/]+):([^@/]*)@/;

/** The client itself would take a user in the URL for part of the host. */
function userOf(url: string): { readonly user?: string; readonly pass?: string } {
  const [, , user, pass] = USER.exec(url) ?? [];
  if (user === undefined || pass === undefined) return {};
  return { user: decodeURIComponent(user), pass: decodeURIComponent(pass) };
}

function withoutUser(url: string): string {
  return url.replace(USER, '$1');
}

async function logStatus(nats: NatsConnection, name: string, logger: MessagingLogger): Promise<void> {
  for await (const status of nats.status()) {
    if (status.type === 'disconnect' || status.type === 'staleConnection') {
      logger.warn({ name, status: status.type }, 'lost the connection to NATS');
    } else if (status.type === 'reconnect') {
      logger.info({ name, server: status.server }, 'connected to NATS again');
    } else if (status.type === 'error') {
      logger.error({ name, err: status.error }, 'NATS reported an error');
    }
  }
}
