import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Suggestions of a language model for open conflicts, with their provenance, budgets and the queue of
 * questions.
 */
export class CreateSuggestions1764100000000 implements MigrationInterface {
  readonly name = 'CreateSuggestions1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(SUGGESTIONS);
    await runner.query(KEEP_PROVENANCE);
    await runner.query(BUDGETS);
    await runner.query(JOBS);
    for (const table of ['conflict_suggestion', 'suggestion_settings', 'suggestion_usage']) {
      await runner.query(tenantPolicySql(table));
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP TABLE suggestion_job, suggestion_usage, suggestion_settings, conflict_suggestion',
    );
    await runner.query('DROP FUNCTION keep_suggestion_provenance');
  }
}

/** `material` is what left the house, redacted; it stays, so that an auditor can see it. */
const SUGGESTIONS = `
  CREATE TABLE conflict_suggestion (
    tenant_id text COLLATE "C" NOT NULL,
    suggestion_id uuid NOT NULL,
    conflict_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('requested', 'ready', 'failed', 'stale', 'accepted', 'dismissed')),
    code text,
    entity_type text NOT NULL,
    clock jsonb NOT NULL,
    clock_hash text NOT NULL,
    material jsonb NOT NULL,
    redacted text[] NOT NULL,
    requested_by text NOT NULL,
    requested_device text NOT NULL,
    requested_at timestamptz NOT NULL,
    prompt_hash text NOT NULL,
    parameters jsonb NOT NULL,
    base_hash text NOT NULL,
    ours_hash text NOT NULL,
    theirs_hash text NOT NULL,
    budget_day date NOT NULL,
    tokens_reserved bigint NOT NULL,
    cost_reserved_micros bigint NOT NULL,
    model text,
    model_version text,
    output jsonb,
    output_hash text,
    confidence double precision,
    rationale text,
    prompt_tokens bigint,
    output_tokens bigint,
    finished_at timestamptz,
    decided_by text,
    decided_device text,
    decided_at timestamptz,
    PRIMARY KEY (tenant_id, suggestion_id)
  );
  CREATE INDEX conflict_suggestion_newest
    ON conflict_suggestion (tenant_id, conflict_id, requested_at DESC, suggestion_id DESC);
  -- One question at a time about one state of a conflict: who asks again gets the one that is there.
  CREATE UNIQUE INDEX conflict_suggestion_alive
    ON conflict_suggestion (tenant_id, conflict_id, clock_hash) WHERE status IN ('requested', 'ready');`;

const KEEP_PROVENANCE = `
  CREATE FUNCTION keep_suggestion_provenance() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF TG_OP = 'DELETE' THEN
      RAISE EXCEPTION 'a suggestion is never removed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF OLD.status IN ('failed', 'stale', 'accepted', 'dismissed') THEN
      RAISE EXCEPTION 'suggestion % is final', OLD.suggestion_id USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (OLD.status = 'ready' AND NEW.output IS DISTINCT FROM OLD.output)
       OR (OLD.status = 'ready' AND (NEW.model, NEW.model_version, NEW.output_hash, NEW.confidence, NEW.rationale,
             NEW.prompt_hash, NEW.finished_at)
           IS DISTINCT FROM (OLD.model, OLD.model_version, OLD.output_hash, OLD.confidence, OLD.rationale,
             OLD.prompt_hash, OLD.finished_at))
       OR (NEW.tenant_id, NEW.suggestion_id, NEW.conflict_id, NEW.clock, NEW.clock_hash, NEW.material, NEW.redacted,
           NEW.requested_by, NEW.requested_device, NEW.requested_at, NEW.parameters, NEW.base_hash, NEW.ours_hash,
           NEW.theirs_hash)
          IS DISTINCT FROM
          (OLD.tenant_id, OLD.suggestion_id, OLD.conflict_id, OLD.clock, OLD.clock_hash, OLD.material, OLD.redacted,
           OLD.requested_by, OLD.requested_device, OLD.requested_at, OLD.parameters, OLD.base_hash, OLD.ours_hash,
           OLD.theirs_hash) THEN
      RAISE EXCEPTION 'the provenance of suggestion % does not change', OLD.suggestion_id
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER keep_provenance BEFORE UPDATE OR DELETE ON conflict_suggestion
    FOR EACH ROW EXECUTE FUNCTION keep_suggestion_provenance();`;

/** Off is the absence of a row, and the default of the column. Days are UTC. */
const BUDGETS = `
  CREATE TABLE suggestion_settings (
    tenant_id text COLLATE "C" PRIMARY KEY,
    enabled boolean NOT NULL DEFAULT false,
    tokens_per_day bigint NOT NULL CHECK (tokens_per_day >= 0),
    cost_per_day_micros bigint NOT NULL CHECK (cost_per_day_micros >= 0),
    redact_fields text[] NOT NULL DEFAULT '{}',
    redact_patterns text[] NOT NULL DEFAULT '{}',
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL
  );
  CREATE TABLE suggestion_usage (
    tenant_id text COLLATE "C" NOT NULL,
    day date NOT NULL,
    tokens bigint NOT NULL,
    cost_micros bigint NOT NULL,
    PRIMARY KEY (tenant_id, day)
  );`;

/**
 * Infrastructure like the outbox: workers look for work of all tenants, so there is no row level security; it
 * holds ids and nothing else. A row disappears with the end of its suggestion.
 */
const JOBS = `
  CREATE TABLE suggestion_job (
    suggestion_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    run_after timestamptz NOT NULL,
    claimed_by text,
    claimed_until timestamptz
  );
  CREATE INDEX suggestion_job_due ON suggestion_job (run_after, suggestion_id);`;
