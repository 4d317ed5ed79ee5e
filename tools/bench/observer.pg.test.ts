import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { messagingMigrations } from '@sync/messaging';
import { migrate, provision } from '@sync/postgres';
import { type RunningPostgres, startPostgres } from '@sync/postgres/testing';
import { Client } from 'pg';
import { untilDelivered } from './deliveries.ts';
import { Observer } from './observer.ts';
import { PROFILE_SETTINGS, StatementProfile, profileLines } from './statement-profile.ts';

const DATABASES = ['owner', 'projector'];
let postgres: RunningPostgres;
let observer: Observer;
let owner: Client;

beforeAll(async () => {
  postgres = await startPostgres({ own: true, durable: false, settings: PROFILE_SETTINGS });
  for (const name of DATABASES) {
    const { ownerUrl, appUrl } = await provision({ adminUrl: postgres.adminUrl, name });
    await migrate({ ownerUrl, migrations: messagingMigrations, functions: [] });
    if (name !== 'owner') continue;
    owner = new Client({ connectionString: appUrl });
    await owner.connect();
  }
  observer = await Observer.open(postgres.adminUrl, DATABASES);
}, 120_000);

afterAll(async () => {
  await owner.end();
  await observer.close();
  await postgres.stop();
});

it('waits until a message has its number and every consumer has seen it', async () => {
  const write = (text: string): Promise<unknown> => observer.query('owner', text);
  const see = (text: string): Promise<unknown> => observer.query('projector', text);
  let delivered = false;
  await write(`INSERT INTO sync_outbox (stream, partition, payload) VALUES ('DOMAIN_EVENTS', 3, '[]')`);
  await write(`INSERT INTO sync_outbox_head VALUES ('DOMAIN_EVENTS', 3, 'first', 1, 1)`);
  await see(`INSERT INTO sync_inbox VALUES ('delta-projector', 'DOMAIN_EVENTS', 'owner', 3, 'first', 1)`);
  const delivery = untilDelivered(observer, ['DOMAIN_EVENTS']).then(() => (delivered = true));
  await polledAgain();
  expect(delivered).toBe(false);
  // At once, as a relay does: a number above its head means that everything below has been delivered.
  await write(`WITH numbered AS (UPDATE sync_outbox SET number = 2)
    UPDATE sync_outbox_head SET number = 2, published = 2`);
  await polledAgain();
  expect(delivered).toBe(false);
  await see('UPDATE sync_inbox SET number = 2');
  await delivery;
});

/** The questions of one connection are answered in turn, so some of the waiting ones are answered then. */
async function polledAgain(): Promise<void> {
  for (let poll = 0; poll < 20; poll += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await Promise.all(DATABASES.map((name) => observer.query(name, 'SELECT 1')));
  }
}

it('profiles the statements of a database, also those inside of functions', async () => {
  const profile = await StatementProfile.open(observer);
  await observer.query(
    'owner',
    `CREATE FUNCTION public.slow() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
       RETURN (SELECT count(*) FROM generate_series(1, 100000)); END $$`,
  );
  await profile.reset();
  for (let call = 0; call < 4; call += 1) await owner.query('SELECT public.slow()');
  const found = await profile.read();
  expect(found).toContainEqual(
    expect.objectContaining({ database: 'owner', topLevel: true, calls: 4, text: 'SELECT public.slow()' }),
  );
  expect(found).toContainEqual(expect.objectContaining({ database: 'owner', topLevel: false, calls: 4 }));
  const lines = profileLines(found, 2);
  expect(lines[0]).toContain('owner: calls');
  expect(lines.find((line) => line.endsWith('SELECT public.slow()'))).toMatch(/^ +2\.00 /);
});
