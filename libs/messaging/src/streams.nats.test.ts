import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { freePort } from '@sync/postgres/testing';
import { PROBE_STREAM, STREAMS, type StreamDeclaration } from '@sync/protocol';
import { connectNats } from './connect-nats.ts';
import { awaitStreams, ensureStreams, restoreStream, StreamMismatchError } from './streams.ts';
import { startNats, type RunningNats } from './testing/nats-server.ts';

let server: RunningNats;
let nats: NatsConnection;
let manager: JetStreamManager;
beforeEach(async () => {
  server = await startNats({ own: true });
  nats = await connectNats({ url: server.url, name: 'streams' });
  manager = await jetstreamManager(nats);
});
afterEach(async () => {
  await nats.close();
  await server.stop();
});

const SMALL: StreamDeclaration = { ...STREAMS.DELTAS, maxBytes: 1_048_576 };

describe('ensureStreams', () => {
  it('creates every declared stream, and changes nothing the second time', async () => {
    const declared = Object.values(STREAMS).map((stream) => ({ ...stream, maxBytes: 1_048_576 }));
    await ensureStreams(nats, declared);
    await ensureStreams(nats, declared);
    const found: Record<string, readonly string[]> = {};
    for await (const { config } of manager.streams.list()) found[config.name] = config.subjects;
    const all = [...declared, PROBE_STREAM];
    expect(found).toEqual(
      Object.fromEntries(all.map(({ name, subjectPrefix }) => [name, [`${subjectPrefix}.>`]])),
    );
  });

  it('brings an existing stream to its declaration', async () => {
    await ensureStreams(nats, [SMALL]);
    await ensureStreams(nats, [{ ...SMALL, maxBytes: 2_097_152, maxAgeHours: 3 }]);
    const { config } = await manager.streams.info(SMALL.name);
    expect([config.max_bytes, config.max_age]).toEqual([2_097_152, 3 * 3_600_000_000_000]);
  });

  it('refuses a server that keeps something else than was asked', async () => {
    const asked = ensureStreams(nats, [{ ...SMALL, maxBytes: 0 }]); // the server makes it -1: unlimited
    await expect(asked).rejects.toThrow(StreamMismatchError);
    await expect(asked).rejects.toThrow('DELTAS: the server did not keep max_bytes (asked 0, got -1)');
  });

  it('passes on what the server refuses', async () => {
    await expect(ensureStreams(nats, [SMALL], 3)).rejects.toThrow(/replicas/);
  });
});

describe('in a cluster', () => {
  let servers: RunningNats[] = [];
  let connection: NatsConnection;
  afterEach(async () => {
    await connection.close();
    await Promise.all(servers.map((one) => one.stop()));
  });

  async function startCluster(): Promise<RunningNats[]> {
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
    return Promise.all(
      ports.map((port) => {
        const lines = [`cluster { name: test, host: 127.0.0.1, port: ${port}, routes: [${routes}] }`];
        return startNats({ own: true, configuration: lines });
      }),
    );
  }

  /** A cluster answers clients before it has elected who keeps the streams. */
  async function onceElected(work: () => Promise<void>): Promise<void> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(200);
      }
    }
  }

  it('gives a stream the replicas asked for, and takes none away for a process that was told of fewer', async () => {
    servers = await startCluster();
    connection = await connectNats({ url: servers.map(({ url }) => url), name: 'streams' });
    const replicas = async (): Promise<number> => {
      const cluster = await jetstreamManager(connection, { checkAPI: false });
      return (await cluster.streams.info(SMALL.name)).config.num_replicas;
    };
    await onceElected(() => ensureStreams(connection, [SMALL]));
    expect(await replicas()).toBe(1);
    await onceElected(() => ensureStreams(connection, [SMALL], 3));
    await onceElected(() => ensureStreams(connection, [{ ...SMALL, maxAgeHours: 3 }], 1));
    expect(await replicas()).toBe(3);
  });
});

describe('restoreStream', () => {
  it('creates what is missing and leaves what exists', async () => {
    await ensureStreams(nats, [SMALL]);
    await manager.streams.delete(SMALL.name);
    await restoreStream(nats, SMALL);
    await restoreStream(nats, { ...SMALL, maxBytes: 4_194_304 });
    expect((await manager.streams.info(SMALL.name)).config.max_bytes).toBe(SMALL.maxBytes);
  });

  it('asks for nothing where the process never ensured the streams', async () => {
    await restoreStream(nats, SMALL);
    await expect(manager.streams.info(SMALL.name)).rejects.toThrow('stream not found');
  });
});

describe('awaitStreams', () => {
  it('says what it waits for, and ends once somebody else has created it', async () => {
    const missing: string[] = [];
    const waiting = awaitStreams(nats, [SMALL, STREAMS.SYNC_EVENTS], (stream) => missing.push(stream));
    await ensureStreams(nats, [STREAMS.SYNC_EVENTS]);
    await ensureStreams(nats, [SMALL]);
    await waiting;
    expect(missing).toEqual([SMALL.name]);
  });
});
