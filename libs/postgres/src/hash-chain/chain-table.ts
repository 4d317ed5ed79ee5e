import { escapeIdentifier } from 'pg';

/**
 * SQL for a migration: rows of a chain's table are only ever added, and the database counts them.
 *
 * - Triggers refuse UPDATE, DELETE and TRUNCATE, also of the table's owner, with SQLSTATE SY010.
 * - `<table>_anchor` (tenant_id, entries, hash): how many rows a tenant's chain was given, and the hash of
 *   the newest. A trigger keeps it as the owner's role, so that the app needs no right to write it. It counts
 *   what was added instead of looking at what is there: once an end was cut off, no later row makes it fit
 *   again. It has no policy: it holds ids and counts, and whoever watches all chains has to find them.
 *
 * @param table has the columns tenant_id, position, entry and hash, and the primary key (tenant_id, position)
 */
export function chainTableSql(table: string): string {
  const name = escapeIdentifier(table);
  const anchor = escapeIdentifier(`${table}_anchor`);
  const [refuse, grow, count] = ['append_only', 'only_grows', 'counted'].map((what) =>
    escapeIdentifier(`${table}_${what}`),
  );
  return `
CREATE TABLE ${anchor} (
  tenant_id text COLLATE "C" PRIMARY KEY,
  entries bigint NOT NULL,
  hash text NOT NULL
);
CREATE FUNCTION ${refuse}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % refused: rows are only ever added', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SY010';
END $$;
CREATE FUNCTION ${grow}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.entries > OLD.entries AND NEW.tenant_id = OLD.tenant_id THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% of % refused: a chain only grows', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SY010';
END $$;
CREATE FUNCTION ${count}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO ${anchor} AS kept (tenant_id, entries, hash)
    SELECT tenant_id, count(*), (array_agg(hash ORDER BY position DESC))[1] FROM added GROUP BY tenant_id
  ON CONFLICT (tenant_id) DO UPDATE SET entries = kept.entries + excluded.entries, hash = excluded.hash;
  RETURN NULL;
END $$;
CREATE TRIGGER chain_guard BEFORE UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION ${refuse}();
CREATE TRIGGER chain_truncate BEFORE TRUNCATE ON ${name} FOR EACH STATEMENT EXECUTE FUNCTION ${refuse}();
CREATE TRIGGER chain_counted AFTER INSERT ON ${name} REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ${count}();
CREATE TRIGGER chain_guard BEFORE UPDATE OR DELETE ON ${anchor} FOR EACH ROW EXECUTE FUNCTION ${grow}();
CREATE TRIGGER chain_truncate BEFORE TRUNCATE ON ${anchor} FOR EACH STATEMENT EXECUTE FUNCTION ${refuse}();`;
}
