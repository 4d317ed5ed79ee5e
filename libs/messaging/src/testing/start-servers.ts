import { startPostgres } from '@sync/postgres/testing';
import { startNats } from './nats-server.ts';

/** The two servers that every message hop needs. */
export interface RunningServers {
  readonly postgresUrl: string;
  readonly natsUrl: string;
  stop(): Promise<void>;
}

/** Starts a Postgres that may lose its data in a crash and a NATS server, both for one test run. */
export async function startServers(): Promise<RunningServers> {
  const [postgres, nats] = await Promise.all([startPostgres({ durable: false }), startNats()]);
  const stop = async (): Promise<void> => {
    await nats.stop();
    await postgres.stop();
  };
  return { postgresUrl: postgres.adminUrl, natsUrl: nats.url, stop };
}
