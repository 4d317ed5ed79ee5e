import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import type { Logger } from './logger.ts';
import type { ConfigOf } from './read-config.ts';
import type { SERVICE_OPTIONS } from './service-options.ts';
import { waitForPart } from './wait-for-part.ts';

type NatsConfig = Pick<
  ConfigOf<typeof SERVICE_OPTIONS>,
  'host' | 'port' | 'opsPort' | 'natsUrl' | 'natsUser' | 'natsPassword' | 'natsNkeySeed'
>;

/**
 * Connects a process to NATS as it was told to: to whichever server of the list answers, and as its user when
 * it has one. A NATS that is not there is waited for ({@link waitForPart}).
 * @param name of the process, for the server's connection list; with an nkey its identity is called so too
 */
export function connectService(config: NatsConfig, name: string, logger: Logger): Promise<NatsConnection> {
  const { natsUrl, natsUser: user, natsPassword: pass, natsNkeySeed: nkeySeed } = config;
  const url = natsUrl.split(',').map((server) => server.trim());
  const credentials = user === '' ? {} : { user, pass };
  const options = {
    ...{ url, name, logger },
    ...(nkeySeed === '' ? credentials : { identity: { service: name, nkeySeed } }),
  };
  return waitForPart(config, 'nats', logger, () => connectNats(options));
}
