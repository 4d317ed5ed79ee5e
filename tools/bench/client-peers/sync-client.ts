import {
  type Answer,
  type Call,
  type DeviceKey,
  type Store,
  type Transport,
  createSyncClient,
} from '@sync/client';
import { importDeviceKey, webCryptoKey } from '@sync/client/webcrypto-key';
import { IDENTITY } from '@sync/client/testing/device-work';
import type { AckRequest, PullRequest } from '@sync/protocol';
import type { Note, OpenDevice } from './work.ts';

/** `@sync/client`, with a server in memory that has what its pages say. */
export async function openSyncClient(store: Store): Promise<OpenDevice> {
  const server = new PageServer();
  const client = await createSyncClient({
    ...{ identity: IDENTITY, key: await deviceKey(), transport: server, store },
    entities: { note: {} },
  });
  const notes = await client.entity('note').load();
  return {
    sync: async (pages) => {
      server.pages = pages;
      const isComplete = (): boolean => (client.status.scopes[0]?.lastSyncedAt ?? null) !== null;
      const complete = new Promise<void>((resolve) => {
        const stop = client.onStatus(() => {
          if (!isComplete()) return;
          stop();
          resolve();
        });
      });
      client.start();
      await complete;
      client.stop();
    },
    list: async () => notes.list().map(({ data }) => data as Note),
    write: ({ id, ...data }) => notes.put(id, data),
    textOf: async (id) => (notes.get(id)?.data as Note | undefined)?.text,
    onChange: (listener) => void notes.subscribe((ids) => ids.forEach(listener)),
    close: () => client.close(),
  };
}

async function deviceKey(): Promise<DeviceKey> {
  return webCryptoKey(await importDeviceKey(new Uint8Array(32)), IDENTITY);
}

/** Answers pulls page by page and takes every ack. */
class PageServer implements Transport {
  pages: readonly string[] = [];

  async send<T>({ path, body, signal }: Call): Promise<Answer<T>> {
    const answer = path === '/sync/v1/ack' ? acked(body as AckRequest) : this.#page(body as PullRequest);
    if (answer !== null) return { ok: true, body: answer as T };
    // There is no news, and there never will be.
    await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    const fields = { status: null, problem: null, retryAfterMs: null, detail: 'the pull was given up' };
    return { ok: false, kind: 'aborted', ...fields };
  }

  #page({ scopes }: PullRequest): unknown {
    const cursor = scopes?.[0]?.cursor ?? null;
    const text = this.pages[cursor === null ? 0 : Number(cursor) + 1];
    return text === undefined ? null : JSON.parse(text);
  }
}

function acked({ cursors = [] }: AckRequest): unknown {
  return { serverTime: '', cursors: cursors.map(({ scope }) => ({ scope, status: 'advanced' })) };
}
