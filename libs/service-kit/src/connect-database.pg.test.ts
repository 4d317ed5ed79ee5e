import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { migrate, provision } from '@sync/postgres';
import { startPostgres } from '@sync/postgres/testing';
import { pino } from 'pino';
import { connectDatabase } from './connect-database.ts';

it('waits for the process that migrates, says for what, and then calls the functions of its build', async () => {
  const { adminUrl } = await startPostgres();
  const { ownerUrl, appUrl } = await provision({
    adminUrl,
    name: `k_${randomBytes(4).toString('hex')}`,
  });
  const answer = (n: number): { name: string; sql: string } => ({
    name: 'answer.sql',
    sql: `CREATE FUNCTION answer() RETURNS int4 LANGUAGE sql AS 'SELECT ${n}'`,
  });
  await migrate({ ownerUrl, migrations: [], functions: [answer(1)] });
  const { promise: waiting, resolve: waits } = Promise.withResolvers<string>();
  const logger = pino({}, { write: waits });
  const config = {
    ...{ host: '127.0.0.1', port: 0, opsPort: 0 },
    ...{ databaseUrl: appUrl, databaseOwnerUrl: '', databasePoolSize: 1, migrateAndExit: false },
  };
  const schema = { migrations: [], functions: [answer(2)] };
  const connecting = connectDatabase(config, 'kit', schema, logger);
  const first = await Promise.race([waiting, connecting.then(() => 'connected')]);
  expect(first).toContain('the functions of this build are not in the database yet');
  await migrate({ ownerUrl, ...schema });
  const database = await connecting;
  expect(database.roundTrips).toBe(0);
  expect(await database.call('answer', 'SELECT answer() AS n', [])).toEqual([{ n: 2 }]);
  await database.close();
});

it('refuses to migrate and end without the password of an owner', () => {
  const config = {
    ...{ host: '127.0.0.1', port: 0, opsPort: 0 },
    ...{ databaseUrl: 'postgres://x', databaseOwnerUrl: '', databasePoolSize: 1, migrateAndExit: true },
  };
  const logger = pino({}, { write: () => undefined });
  expect(() => connectDatabase(config, 'kit', { migrations: [] }, logger)).toThrow(
    'MIGRATE_AND_EXIT needs DATABASE_OWNER_URL',
  );
});
