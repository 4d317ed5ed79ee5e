import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What people wrote is kept as the text that came. `jsonb` writes numbers out when it is read: 5e-324 has 324
 * digits then, and a record of 259 KB became 12 MB for everybody who looked at it. What the service itself
 * writes (clocks, parameters, deciders) is bounded and stays `jsonb`.
 *
 * The tables are written anew, a minute for some ten gigabytes, and nobody reads or writes them meanwhile:
 * events wait in their stream, concurrent pushes are `accepted`. No hash changes, because they are of values;
 * numbers of old rows stay written out.
 */
const AS_SENT = `
ALTER TABLE conflict_record ALTER COLUMN draft TYPE json, ALTER COLUMN decision TYPE json;
ALTER TABLE conflict_claim ALTER COLUMN claim TYPE json;
ALTER TABLE conflict_suggestion ALTER COLUMN material TYPE json, ALTER COLUMN output TYPE json;`;

/**
 * What replicas of the version before ask of these columns while they run beside this one (ADR 0027). Nobody
 * else uses it: it goes one release later.
 */
const FOR_THE_VERSION_BEFORE = `
CREATE FUNCTION jsonb_array_elements(p_list json) RETURNS SETOF json LANGUAGE sql IMMUTABLE
  AS $$ SELECT json_array_elements(p_list) $$;
CREATE FUNCTION json_has_key(p_object json, p_key text) RETURNS boolean LANGUAGE sql IMMUTABLE
  AS $$ SELECT p_object -> p_key IS NOT NULL $$;
CREATE OPERATOR ? (LEFTARG = json, RIGHTARG = text, FUNCTION = json_has_key);`;

/** As before; `json` has no equality, so rows are compared as the text that they are. */
const GUARDS = `
CREATE OR REPLACE FUNCTION conflict_record_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  rest conflict_record;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    rest := NEW;
    rest.status := OLD.status;
    rest.decision := OLD.decision;
    rest.decider := OLD.decider;
    rest.resolved_at := OLD.resolved_at;
    rest.resolution := OLD.resolution;
    IF OLD.status = 'open' AND NEW.status = 'resolved'
       AND NEW.decision IS NOT NULL AND NEW.decider IS NOT NULL AND NEW.resolved_at IS NOT NULL
       AND rest::text = OLD::text THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'a ConflictRecord is resolved once and never changes otherwise (% refused)', TG_OP
    USING ERRCODE = 'SY010';
END $$;

CREATE OR REPLACE FUNCTION keep_suggestion_provenance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a suggestion is never removed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF OLD.status IN ('failed', 'stale', 'accepted', 'dismissed') THEN
    RAISE EXCEPTION 'suggestion % is final', OLD.suggestion_id USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF (OLD.status = 'ready' AND NEW.output::text IS DISTINCT FROM OLD.output::text)
     OR (OLD.status = 'ready' AND (NEW.model, NEW.model_version, NEW.output_hash, NEW.confidence, NEW.rationale,
           NEW.prompt_hash, NEW.finished_at)
         IS DISTINCT FROM (OLD.model, OLD.model_version, OLD.output_hash, OLD.confidence, OLD.rationale,
           OLD.prompt_hash, OLD.finished_at))
     OR (NEW.tenant_id, NEW.suggestion_id, NEW.conflict_id, NEW.clock, NEW.clock_hash, NEW.material::text, NEW.redacted,
         NEW.requested_by, NEW.requested_device, NEW.requested_at, NEW.parameters, NEW.base_hash, NEW.ours_hash,
         NEW.theirs_hash)
        IS DISTINCT FROM
        (OLD.tenant_id, OLD.suggestion_id, OLD.conflict_id, OLD.clock, OLD.clock_hash, OLD.material::text, OLD.redacted,
         OLD.requested_by, OLD.requested_device, OLD.requested_at, OLD.parameters, OLD.base_hash, OLD.ours_hash,
         OLD.theirs_hash) THEN
    RAISE EXCEPTION 'the provenance of suggestion % does not change', OLD.suggestion_id
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;`;

export class KeepJsonAsSent1764200000000 implements MigrationInterface {
  readonly name = 'KeepJsonAsSent1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(AS_SENT);
    await runner.query(FOR_THE_VERSION_BEFORE);
    await runner.query(GUARDS);
  }

  async down(): Promise<void> {
    // Forward only.
  }
}
