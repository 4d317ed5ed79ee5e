import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = `
CREATE TABLE entity_head (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  schema_version integer NOT NULL,
  deleted boolean NOT NULL,
  clock json NOT NULL,
  last_data json,
  scopes text[] NOT NULL,
  grants json,
  field_writes json,
  committed_at timestamptz NOT NULL,
  projected_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, entity_type, entity_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE scope_head (
  tenant_id text COLLATE "C" NOT NULL,
  scope text COLLATE "C" NOT NULL,
  epoch text NOT NULL,
  sequence bigint NOT NULL,
  live_count bigint NOT NULL,
  digest numeric(78, 0) NOT NULL,
  PRIMARY KEY (tenant_id, scope)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE dead_letter (
  tenant_id text COLLATE "C" NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  status text NOT NULL DEFAULT 'quarantined' CHECK (status IN ('quarantined', 'replayed')),
  producer text NOT NULL,
  event_id text,
  entity_type text COLLATE "C",
  entity_id text COLLATE "C",
  revision bigint,
  code text NOT NULL,
  cause text NOT NULL,
  holds boolean NOT NULL,
  event text NOT NULL,
  event_hash text NOT NULL,
  attempts integer NOT NULL DEFAULT 1,
  first_failed_at timestamptz NOT NULL,
  last_failed_at timestamptz NOT NULL,
  replayed_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX dead_letter_once ON dead_letter (tenant_id, event_hash) WHERE status = 'quarantined';
CREATE INDEX dead_letter_waiting ON dead_letter (tenant_id, entity_type, entity_id, id) WHERE status = 'quarantined';
CREATE INDEX dead_letter_replayed ON dead_letter (tenant_id, replayed_at) WHERE status = 'replayed';

CREATE TABLE quarantine (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  code text NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, entity_type, entity_id)
);

CREATE TABLE snapshot_seen (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, entity_type, entity_id)
);

CREATE TABLE unreadable_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  producer text NOT NULL,
  code text NOT NULL,
  cause text NOT NULL,
  event text NOT NULL,
  event_hash text NOT NULL UNIQUE,
  attempts integer NOT NULL DEFAULT 1,
  failed_at timestamptz NOT NULL
);

CREATE TABLE known_tenant (id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'));

CREATE TABLE registration_copy (
  entity_type text PRIMARY KEY,
  service text NOT NULL,
  registration json NOT NULL,
  changed_at timestamptz NOT NULL
);

CREATE TABLE backfill_progress (
  entity_type text PRIMARY KEY,
  schema_version integer NOT NULL,
  reason text NOT NULL,
  sweep boolean NOT NULL,
  plain boolean NOT NULL DEFAULT false,
  cursor text,
  done boolean NOT NULL,
  entities bigint NOT NULL DEFAULT 0,
  run integer NOT NULL DEFAULT 1,
  started_at timestamptz NOT NULL,
  finished_at timestamptz
);
`;

const TENANT_TABLES = ['entity_head', 'scope_head', 'dead_letter', 'quarantine', 'snapshot_seen'];

/**
 * What the projector remembers.
 *
 * - `entity_head`: per entity what was projected last. `last_data` is the data that devices were given (of a
 *   deleted entity: the data before), kept only for policies that compare fields; a deletion keeps its row,
 *   or an older event would bring the entity back.
 * - `scope_head`: the position that the next delta of a scope gets, and the digest over its live entities.
 *   The digest is a number and not hex text, so that one UPDATE can add to it; everything else about it is in
 *   `libs/domain`.
 * - `dead_letter`, `quarantine`: events that could not be projected, and the entities whose later events wait
 *   behind them. `event` is JSON text as it came (`text`, because `jsonb` refuses some of what makes an event
 *   poison). `event_hash` makes a second delivery of a plain event count as another attempt instead of
 *   another letter. `holds`: its entity waits for it.
 * - `unreadable_event`: what does not even name its tenant; nobody's data, so it has no tenant and no row
 *   level security.
 * - `known_tenant`: for jobs that visit all tenants; everything they read then happens inside `app.tenant`.
 * - `snapshot_seen`: which entities the running reconciliation has met; what it has not met is gone at the
 *   owner.
 * - `registration_copy`, `backfill_progress`: see `registry/` and `backfill/`.
 *
 * COLLATE "C" on keys: locks are taken in one order by every worker, whatever the database's locale, and byte
 * order is the fastest. Fill factor: heads are updated far more often than inserted, and with room on the
 * page no index entry is written (HOT).
 */
export class CreateProjection1764000000000 implements MigrationInterface {
  readonly name = 'CreateProjection1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
    for (const table of TENANT_TABLES) await runner.query(tenantPolicySql(table));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ${TENANT_TABLES.join(', ')}, unreadable_event, known_tenant, registration_copy,
      backfill_progress`);
  }
}
