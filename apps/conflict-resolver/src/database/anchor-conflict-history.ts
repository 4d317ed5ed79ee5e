import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a chain of hashes cannot say about itself: that its end is still there, and that every record still
 * has all of its entries.
 *
 * - `conflict_history_anchor`: how many entries a tenant's history has, and the hash of the newest.
 * - `conflict_history_head`: the same of one record. In a table of its own, so that a resolved record's row
 *   never changes again.
 *
 * Both count what was added instead of looking at what is there: once something was cut off, no later entry
 * makes them fit again.
 */
const ANCHORS = `
CREATE TABLE conflict_history_anchor (
  tenant_id text COLLATE "C" PRIMARY KEY,
  entries bigint NOT NULL,
  hash text NOT NULL
);
CREATE TABLE conflict_history_head (
  tenant_id text COLLATE "C" NOT NULL,
  conflict_id uuid NOT NULL,
  entries bigint NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (tenant_id, conflict_id)
);`;

/**
 * What was there before: the owner sees it only while row level security is not forced on it. Records that
 * are older than the history itself get a head of no entries, so that they are told from records whose
 * history somebody removed.
 */
const FILL = `
ALTER TABLE conflict_history NO FORCE ROW LEVEL SECURITY;
ALTER TABLE conflict_record NO FORCE ROW LEVEL SECURITY;
INSERT INTO conflict_history_anchor (tenant_id, entries, hash)
  SELECT tenant_id, count(*), (array_agg(hash ORDER BY position DESC))[1] FROM conflict_history GROUP BY tenant_id;
INSERT INTO conflict_history_head (tenant_id, conflict_id, entries, hash)
  SELECT tenant_id, conflict_id, count(*), (array_agg(hash ORDER BY position DESC))[1]
  FROM conflict_history GROUP BY tenant_id, conflict_id;
INSERT INTO conflict_history_head (tenant_id, conflict_id, entries, hash)
  SELECT tenant_id, conflict_id, 0, '' FROM conflict_record ON CONFLICT DO NOTHING;
ALTER TABLE conflict_history FORCE ROW LEVEL SECURITY;
ALTER TABLE conflict_record FORCE ROW LEVEL SECURITY;`;

/**
 * The database keeps both itself, as the owner's role: the app's role may read them and nothing else, and a
 * replica of the version before keeps them too. Appends of a tenant queue behind one lock, so the rows are
 * never contended.
 */
const KEEP = `
CREATE FUNCTION conflict_history_anchored() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO conflict_history_anchor AS kept (tenant_id, entries, hash)
    SELECT tenant_id, count(*), (array_agg(hash ORDER BY position DESC))[1] FROM added GROUP BY tenant_id
  ON CONFLICT (tenant_id) DO UPDATE SET entries = kept.entries + excluded.entries, hash = excluded.hash;
  INSERT INTO conflict_history_head AS kept (tenant_id, conflict_id, entries, hash)
    SELECT tenant_id, conflict_id, count(*), (array_agg(hash ORDER BY position DESC))[1]
    FROM added GROUP BY tenant_id, conflict_id
  ON CONFLICT (tenant_id, conflict_id) DO UPDATE SET entries = kept.entries + excluded.entries, hash = excluded.hash;
  RETURN NULL;
END $$;
CREATE TRIGGER conflict_history_anchored AFTER INSERT ON conflict_history REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION conflict_history_anchored();

CREATE FUNCTION conflict_anchor_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.entries > OLD.entries
     AND (to_jsonb(NEW) - ARRAY['entries', 'hash']) = (to_jsonb(OLD) - ARRAY['entries', 'hash']) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% of % refused: a history only grows', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SY010';
END $$;
CREATE TRIGGER conflict_anchor_guard BEFORE UPDATE OR DELETE ON conflict_history_anchor
  FOR EACH ROW EXECUTE FUNCTION conflict_anchor_guard();
CREATE TRIGGER conflict_anchor_truncate BEFORE TRUNCATE ON conflict_history_anchor
  FOR EACH STATEMENT EXECUTE FUNCTION conflict_append_only();
CREATE TRIGGER conflict_head_guard BEFORE UPDATE OR DELETE ON conflict_history_head
  FOR EACH ROW EXECUTE FUNCTION conflict_anchor_guard();
CREATE TRIGGER conflict_head_truncate BEFORE TRUNCATE ON conflict_history_head
  FOR EACH STATEMENT EXECUTE FUNCTION conflict_append_only();`;

/** Length and newest hash of every history, kept by the database beside it. */
export class AnchorConflictHistory1764150000000 implements MigrationInterface {
  readonly name = 'AnchorConflictHistory1764150000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(ANCHORS);
    await runner.query(FILL);
    await runner.query(tenantPolicySql('conflict_history_anchor'));
    await runner.query(tenantPolicySql('conflict_history_head'));
    await runner.query(KEEP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TRIGGER conflict_history_anchored ON conflict_history');
    await runner.query('DROP TABLE conflict_history_head, conflict_history_anchor');
    await runner.query('DROP FUNCTION conflict_history_anchored, conflict_anchor_guard');
  }
}
