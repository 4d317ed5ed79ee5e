import { afterEach, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, ensureStreams, NotStoringError } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { Metrics } from './metrics.ts';
import { storeReadiness } from './store-readiness.ts';

let server: RunningNats;
let nats: NatsConnection;
afterEach(async () => {
  await nats.close();
  await server.stop();
});

async function connect(configuration: readonly string[]): Promise<void> {
  server = await startNats({ own: true, configuration });
  nats = await connectNats({ url: server.url, name: 'test', user: 'app', pass: 'p' });
}

const gaugeOf = async (metrics: Metrics): Promise<string | undefined> =>
  /^sync_jetstream_not_storing.* (\d)$/m.exec(await metrics.registry.metrics())?.[1];

it('is ready where JetStream stores', async () => {
  await connect(['authorization { user: app, password: p }']);
  await ensureStreams(nats, []);
  const metrics = new Metrics('test');
  await storeReadiness(nats, metrics, []).check();
  expect(await gaugeOf(metrics)).toBe('0');
});

it('is not where nothing can be stored although NATS answers, and counts it', async () => {
  const permissions = 'permissions: { publish: { deny: "sync.probe.v1.store" } }';
  await connect([`authorization { users: [{ user: app, password: p, ${permissions} }] }`]);
  const metrics = new Metrics('test');
  const readiness = storeReadiness(nats, metrics, []);
  await nats.flush();
  await expect(readiness.check()).rejects.toThrow(NotStoringError);
  expect(readiness.name).toBe('jetstream');
  expect(await gaugeOf(metrics)).toBe('1');
});
