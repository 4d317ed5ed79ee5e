import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { NatsServerMissingError, resolveNatsServer, startNats } from './index.ts';

describe('startNats', () => {
  it('takes the server of the test run, and does not let one test kill it for all', async () => {
    const nats = await startNats();
    expect(nats.url).toBe(process.env['TEST_NATS_URL']);
    await expect(nats.kill('SIGKILL')).rejects.toThrow('own: true');
    await nats.stop();
    const connection = await connect({ servers: nats.url });
    await connection.close();
  });

  it('keeps streams, port and url over SIGKILL, and removes its folder at the end', async () => {
    const nats = await startNats({ own: true });
    const { url, pid } = nats;
    const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
    await jetstream(connection).publish('kept.a', 'x');
    expect(connection.info?.max_payload).toBe(8 * 1024 * 1024);

    await nats.kill('SIGKILL');
    expect(nats.pid).toBeUndefined();
    await nats.restart();
    expect(nats.url).toBe(url);
    expect(nats.pid).not.toBe(pid);

    const again = await connect({ servers: nats.url });
    const info = await (await jetstreamManager(again)).streams.info('KEPT');
    expect(info.state.messages).toBe(1);
    await again.close();
    await connection.close();
    await nats.stop();
    expect(existsSync(nats.storeDir)).toBe(false);
  });

  it('tells when the server ends unasked', async () => {
    let ended = (_how: string): void => undefined;
    const unasked = new Promise<string>((resolve) => (ended = resolve));
    const nats = await startNats({ own: true, onUnexpectedExit: (how) => ended(how) });
    process.kill(nats.pid ?? 0, 'SIGKILL');
    expect(await unasked).toBe('SIGKILL');
    await nats.stop();
  });

  it('says why it could not start', async () => {
    const first = await startNats({ own: true });
    const port = Number(new URL(first.url).port);
    await expect(startNats({ own: true, port })).rejects.toThrow(/did not start on port/);
    await first.stop();
  });
});

describe('resolveNatsServer', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sync-resolve-'));
    const program = join(folder, 'nats-server');
    await writeFile(program, '#!/bin/sh\n');
    await chmod(program, 0o755);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('prefers NATS_SERVER_BIN, then PATH, then the cache', async () => {
    const program = join(folder, 'nats-server');
    const cacheFolder = join(folder, 'cache');
    expect(await resolveNatsServer({ env: { NATS_SERVER_BIN: program }, cacheFolder })).toBe(program);
    expect(await resolveNatsServer({ env: { PATH: ['/none', folder].join(delimiter) }, cacheFolder })).toBe(
      program,
    );
    expect(await resolveNatsServer({ env: {}, cacheFolder: folder })).toBe(program);
  });

  it('refuses a NATS_SERVER_BIN that is no program instead of taking another', async () => {
    const env = { NATS_SERVER_BIN: join(folder, 'none'), PATH: folder };
    await expect(resolveNatsServer({ env })).rejects.toThrow(/NATS_SERVER_BIN names .*none/);
  });

  it.each([
    ['darwin', 'brew install nats-server'],
    ['win32', 'winget install'],
    ['freebsd', 'package "nats-server"'],
  ] as const)('names the one command on %s', async (platform, command) => {
    const missing = resolveNatsServer({ env: {}, cacheFolder: join(folder, 'empty'), platform });
    await expect(missing).rejects.toThrow(NatsServerMissingError);
    await expect(missing).rejects.toThrow(command);
  });

  it('says what failed when the package cannot be fetched', async () => {
    const env = { PATH: join(folder, 'no-apt-here') };
    const missing = resolveNatsServer({ env, cacheFolder: join(folder, 'empty'), platform: 'linux' });
    await expect(missing).rejects.toThrow(/apt-get download nats-server/);
  });
});
