import { gunzipSync } from 'node:zlib';
import { createSyncClient } from '../client/create-sync-client.ts';
import { ModelTransport } from '../client/testing/model-transport.ts';
import { ModelServer } from '../local/testing/model-server.ts';
import { createHttpTransport } from '../net/http-transport.ts';
import type { Call, DeviceKey } from '../net/transport.ts';
import type { Store } from '../storage/store.ts';
import { IDENTITY, SCOPE } from './device-work.ts';

export interface QueueTimes {
  /** From `start` until all is pushed, applied, pulled and acked; without the model's own work. */
  readonly drainMs: number;
  /** CPU of the device for each mutation, from its write to the end. */
  readonly cpuPerMutationMs: number;
}

/**
 * A whole device, with its requests signed and compressed, that has written so much offline. At the other end
 * is a model of a server in the same process that answers at once; what that takes is left out.
 * @param store empty
 */
export async function measureQueue(mutations: number, store: Store, key: DeviceKey): Promise<QueueTimes> {
  const model = new ModelEnd();
  const transport = createHttpTransport({
    ...{ gatewayUrl: 'http://model.test', identity: IDENTITY, key, token: async () => 'token' },
    fetch: model.fetch,
  });
  const client = await createSyncClient({
    identity: IDENTITY,
    key,
    transport,
    store,
    entities: { note: {} },
  });
  const notes = client.entity('note');
  const cpuBefore = process.cpuUsage();
  const writes = await Promise.all(
    Array.from({ length: mutations }, (_each, n) =>
      notes.put(`new-${n}`, { userId: 'u', text: `note ${n}`, colour: 'white' }),
    ),
  );
  const startedMs = performance.now();
  const before = model.tookMs;
  client.start();
  await Promise.all(writes.map((write) => write.wait('seen')));
  while (model.unacked > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const drainMs = performance.now() - startedMs - (model.tookMs - before);
  const { user, system } = process.cpuUsage(cpuBefore);
  await client.close();
  return { drainMs, cpuPerMutationMs: ((user + system) / 1_000 - model.tookMs) / mutations };
}

/** `fetch` with a model of a server at the other end, and a clock for what that does. */
class ModelEnd {
  readonly #transport = new ModelTransport(new ModelServer(SCOPE));
  tookMs = 0;

  get unacked(): number {
    return this.#transport.server.unacked;
  }

  readonly fetch: typeof fetch = async (url, { body, headers } = {}) => {
    const isPacked = new Headers(headers).get('content-encoding') === 'gzip';
    const bytes = body as Uint8Array<ArrayBuffer>;
    const answering = this.#timed(() => {
      const text = new TextDecoder().decode(isPacked ? gunzipSync(bytes) : bytes);
      const call = { method: 'POST', path: new URL(url).pathname, timeoutMs: 0 } as const;
      return this.#transport.send<object>({ ...call, body: JSON.parse(text) as Call['body'] });
    });
    const answer = await answering;
    if (!answer.ok) throw new Error(answer.detail);
    const serverTime = new Date().toISOString();
    const text = this.#timed(() => JSON.stringify({ ...answer.body, serverTime }));
    return new Response(text, { headers: { 'content-type': 'application/json' } });
  };

  #timed<T>(work: () => T): T {
    const startedMs = performance.now();
    const result = work();
    this.tookMs += performance.now() - startedMs;
    return result;
  }
}
