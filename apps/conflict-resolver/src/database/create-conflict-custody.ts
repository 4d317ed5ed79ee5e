import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What makes ConflictRecords evidence: a resolution, an append-only history, and triggers that keep both as
 * they are.
 *
 * - `conflict_record` gets its resolution, once: the trigger lets an open row become resolved and refuses
 *   everything else. It belongs to the owner role, so the app's role, which is not the table's owner, can
 *   neither change nor disable it (nor use session_replication_role).
 * - `conflict_history`: one chain per tenant, so that a missing entry shows, and not only a changed one.
 *   `entry` is the canonical JSON text that was hashed; parsing and writing it again would have to be
 *   byte-exact for ever.
 * - `conflict_claim`: who is resolving a record now, and what was sent to its owner; working state, kept
 *   after the resolution to recognise its repetition.
 * - `open_conflict`: the queue of what is open, across tenants and therefore without a policy: ids and times
 *   only. `due_at` is set while a claim has to be carried on should its process die.
 */
export const CUSTODY_TABLES = `
ALTER TABLE conflict_record ADD COLUMN decision jsonb, ADD COLUMN decider jsonb;

CREATE INDEX conflict_record_of_user ON conflict_record (tenant_id, user_id, detected_at DESC, conflict_id DESC);
CREATE INDEX conflict_record_open ON conflict_record (tenant_id, user_id, detected_at DESC, conflict_id DESC)
  WHERE status = 'open';
CREATE INDEX conflict_record_of_entity ON conflict_record
  (tenant_id, entity_type, entity_id, detected_at DESC, conflict_id DESC);

CREATE TABLE conflict_history (
  tenant_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL CHECK (position > 0),
  conflict_id uuid NOT NULL,
  entry text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (tenant_id, position)
);
CREATE INDEX conflict_history_of_record ON conflict_history (tenant_id, conflict_id, position);

CREATE TABLE conflict_claim (
  tenant_id text COLLATE "C" NOT NULL,
  conflict_id uuid NOT NULL,
  attempt integer NOT NULL,
  request_hash text NOT NULL,
  claim jsonb,
  senders integer NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, conflict_id)
);

CREATE TABLE open_conflict (
  tenant_id text COLLATE "C" NOT NULL,
  conflict_id uuid NOT NULL,
  opened_at timestamptz NOT NULL,
  due_at timestamptz,
  tries integer NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, conflict_id)
);
CREATE INDEX open_conflict_due ON open_conflict (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX open_conflict_oldest ON open_conflict (opened_at);
`;

/** Errors carry SQLSTATE SY010, so that a test (and an alert) can tell them from any other. */
export const CUSTODY_TRIGGERS = `
CREATE FUNCTION conflict_record_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.status = 'open' AND NEW.status = 'resolved'
       AND NEW.decision IS NOT NULL AND NEW.decider IS NOT NULL AND NEW.resolved_at IS NOT NULL
       AND (to_jsonb(NEW) - ARRAY['status', 'decision', 'decider', 'resolved_at', 'resolution'])
         = (to_jsonb(OLD) - ARRAY['status', 'decision', 'decider', 'resolved_at', 'resolution']) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'a ConflictRecord is resolved once and never changes otherwise (% refused)', TG_OP
    USING ERRCODE = 'SY010';
END $$;
CREATE TRIGGER conflict_record_guard BEFORE UPDATE OR DELETE ON conflict_record
  FOR EACH ROW EXECUTE FUNCTION conflict_record_guard();

CREATE FUNCTION conflict_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % refused: rows are only ever added', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SY010';
END $$;
CREATE TRIGGER conflict_history_guard BEFORE UPDATE OR DELETE ON conflict_history
  FOR EACH ROW EXECUTE FUNCTION conflict_append_only();
CREATE TRIGGER conflict_history_truncate BEFORE TRUNCATE ON conflict_history
  FOR EACH STATEMENT EXECUTE FUNCTION conflict_append_only();
CREATE TRIGGER conflict_record_truncate BEFORE TRUNCATE ON conflict_record
  FOR EACH STATEMENT EXECUTE FUNCTION conflict_append_only();
`;

/** Resolutions, history, claims, and the guards of records and history. */
export class CreateConflictCustody1764050000000 implements MigrationInterface {
  readonly name = 'CreateConflictCustody1764050000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(CUSTODY_TABLES);
    await runner.query(tenantPolicySql('conflict_history'));
    await runner.query(tenantPolicySql('conflict_claim'));
    await runner.query(CUSTODY_TRIGGERS);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE conflict_history, conflict_claim, open_conflict');
  }
}
