import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { awaitStreams, connectNats, ensureStreams } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { type ServiceRights, STREAMS } from '@sync/protocol';
import { masterKeysOf } from '@sync/service-kit';
import { SERVICES } from '../stack/services.ts';
import { publicKeyOf, writeSecrets } from './write-secrets.ts';

const INFRA = resolve(import.meta.dirname, '../../infra');
const DATABASES = SERVICES.map(({ database }) => database);

let out: string;
let rights: ServiceRights;
let servers: RunningNats[] = [];

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'secrets-'));
  rights = JSON.parse(await readFile(join(INFRA, 'services.json'), 'utf8')) as ServiceRights;
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  await rm(out, { recursive: true });
});

const SEALED = SERVICES.filter(({ sealsKeys }) => sealsKeys).map(({ database }) => database);
const write = (
  rotate: readonly string[] = [],
  over: ServiceRights = rights,
  newMasterKeys: readonly string[] = [],
): Promise<string[]> =>
  writeSecrets({
    ...{ out, rights: over, databases: DATABASES, postgres: 'db:5432', account: 'SYNC', rotate },
    ...{ sealed: SEALED, newMasterKeys },
  });
const read = async (path: string): Promise<string> => (await readFile(join(out, path), 'utf8')).trim();

it('makes a password for each role, in URLs that processes take, and a key for each service', async () => {
  const written = await write();
  expect(written).toHaveLength(1 + DATABASES.length * 4 + SEALED.length + 8);
  const passwords = await Promise.all(
    DATABASES.flatMap((name) => [read(`postgres/${name}_app`), read(`postgres/${name}_owner`)]),
  );
  expect(new Set([...passwords, await read('postgres/admin')]).size).toBe(DATABASES.length * 2 + 1);
  const url = new URL(await read('sync_gateway/database_url'));
  expect([url.username, url.password, url.host, url.pathname]).toEqual([
    ...['sync_gateway_app', await read('postgres/sync_gateway_app'), 'db:5432', '/sync_gateway'],
  ]);
  expect((await stat(join(out, 'nats/learning.nk'))).mode & 0o777).toBe(0o644);
});

it('changes nothing that is there when it runs again, and adds what is new', async () => {
  const before = await read('nats/learning.nk');
  expect(await write()).toEqual([]);
  const more = { ...rights, services: { ...rights.services, shop: { entityTypes: ['order'] } } };
  expect(await write([], more)).toEqual(['nats/shop.nk']);
  expect(await read('nats/learning.nk')).toBe(before);
  expect(await read('nats/account.conf')).toContain(publicKeyOf(await read('nats/shop.nk')));
  await write();
  expect(await read('nats/account.conf')).not.toContain('# shop');
});

it('gives a service a new key, and lets the one before in until the next time', async () => {
  const first = await read('nats/learning.nk');
  await write(['learning']);
  const second = await read('nats/learning.nk');
  const account = await read('nats/account.conf');
  expect(second).not.toBe(first);
  expect(account).toContain(publicKeyOf(first));
  expect(account).toContain(publicKeyOf(second));
  await write(['learning']);
  expect(await read('nats/account.conf')).not.toContain(publicKeyOf(first));
});

it('makes master keys that processes take, one for each database, and puts new ones first', async () => {
  const [first, other] = [await read('identity/master_keys'), await read('sync_gateway/master_keys')];
  expect([first, other].map((lines) => masterKeysOf(lines)?.names)).toEqual([['k1'], ['k1']]);
  expect(first).not.toBe(other);
  await write([], rights, ['identity']);
  const second = await read('identity/master_keys');
  expect(masterKeysOf(second)?.names).toEqual(['k2', 'k1']);
  expect(second.endsWith(`\n${first}`)).toBe(true);
  await write([], rights, ['identity']);
  expect(masterKeysOf(await read('identity/master_keys'))?.names).toEqual(['k3', 'k2']);
  expect(await read('sync_gateway/master_keys')).toBe(other);
});

it('lets a service in by its file, with the configuration of infra', async () => {
  const configuration = (await readFile(join(INFRA, 'nats/nats.conf'), 'utf8'))
    // What a test server sets itself, or has no place for.
    .replaceAll(/^(host|port|http_port|max_payload):.*$/gm, '')
    .replace(/^jetstream \{[^}]*\}/m, '')
    .replace('include account.conf', await read('nats/account.conf'));
  const server = await startNats({ own: true, configuration: configuration.split('\n') });
  servers = [...servers, server];
  const connect = async (service: string) =>
    connectNats({
      ...{ url: server.url, name: service, waitOnFirstConnect: false },
      identity: { service, nkeySeed: await read(`nats/${service}.nk`) },
    });
  const owner = await connect('learning');
  const waiting = awaitStreams(owner, [STREAMS.DOMAIN_EVENTS]);
  const gateway = await connect('sync-gateway');
  await ensureStreams(gateway, Object.values(STREAMS));
  await waiting;
  await owner.close();
  await gateway.close();
  await cp(join(out, 'nats/authoring.nk'), join(out, 'kept'));
  await writeFile(join(out, 'nats/authoring.nk'), 'SUAEXAMPLE');
  await expect(connect('authoring')).rejects.toThrow();
});
