import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import type { Logger } from './logger.ts';
import type { ConfigOf } from './read-config.ts';
import type { SERVICE_OPTIONS } from './service-options.ts';
import { waitForPart } from './wait-for-part.ts';

type NatsConfig = Pick<
  ConfigOf<typeof SERVICE_OPTIONS>,
  'host' | 'port' | 'opsPort' | 'natsUrl' | 'natsUser' | 'natsPassword'
>;

/**
 * Connects a process to NATS as it was told to: to whichever server of the list answers, and as its user when
 * it has one. A NATS that is not there is waited for ({@link waitForPart}).
 * @param name of the process, for the server's connection list
 */
export function connectService(config: NatsConfig, name: string, logger: Logger): Promise<NatsConnection> {
  const { natsUrl, natsUser: user, natsPassword: pass } = config;
  const url = natsUrl.split(',').map((server) => server.trim());
  const options = { url, name, logger, ...(user === '' ? {} : { user, pass }) };
  return waitForPart(config, 'nats', logger, () => connectNats(options));
}
