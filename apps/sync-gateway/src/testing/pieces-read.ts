import type { Database } from '@sync/postgres';

/**
 * The pieces of large entities that Postgres reads from the read model for `work`: the same number on every
 * machine.
 *
 * @param sessions how many the pool of the database has; each reports what it read when it is asked to
 */
export async function piecesRead(
  database: Database,
  sessions: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const before = await countedPieces(database, sessions);
  await work();
  return (await countedPieces(database, sessions)) - before;
}

async function countedPieces(database: Database, sessions: number): Promise<number> {
  const all = Promise.withResolvers<null>();
  let missing = sessions;
  // All at the same time, so that each is another session.
  await Promise.all(
    Array.from({ length: sessions }, () =>
      database.transaction(async (tx) => {
        missing -= 1;
        if (missing === 0) all.resolve(null);
        await all.promise;
        await tx.query('SELECT pg_stat_force_next_flush()');
      }),
    ),
  );
  const rows = await database.transaction((tx) =>
    tx.query<{ read: number }>(
      `SELECT s.idx_tup_fetch::int4 AS read
       FROM pg_class c JOIN pg_stat_all_tables s ON s.relid = c.reltoastrelid
       WHERE c.oid = 'scope_delta'::regclass`,
    ),
  );
  return rows[0]?.read ?? -1;
}
