import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What devices pull, fed by the stream DELTAS alone.
 *
 * `scope_delta` holds one row per entity and scope: a newer delta replaces the older one, so the table never
 * grows with history. `wire` is the RemoteDelta as text, byte for byte as the projector wrote it; the other
 * columns serve detection in a push. A deletion stays as a tombstone until retention removes it and raises
 * `pruned_below` of its scope.
 *
 * `ingest_head` counts the ingest transactions of a delta partition, and every head and grant carries the
 * number of the one that wrote it last: a replica finds what changed since its last look by one index probe
 * per partition, however many scopes there are. The counter's row lock makes numbers commit in order, so a
 * look never passes over one that commits late.
 *
 * `known_tenant` lists the tenants for jobs that visit all of them (retention, dispatch). It is no tenant's
 * data, so it has no row level security; everything such a job reads then happens inside `app.tenant`.
 */
export class CreateReadModel1764000000000 implements MigrationInterface {
  readonly name = 'CreateReadModel1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE scope_delta (
        tenant_id text NOT NULL,
        scope text NOT NULL,
        entity_type text NOT NULL,
        entity_id text NOT NULL,
        sequence bigint NOT NULL,
        revision bigint NOT NULL,
        deleted boolean NOT NULL,
        clock jsonb NOT NULL,
        field_writes jsonb,
        wire text NOT NULL,
        stored_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, scope, entity_type, entity_id)
      ) WITH (autovacuum_vacuum_scale_factor = 0.05);
      CREATE UNIQUE INDEX scope_delta_in_order ON scope_delta (tenant_id, scope, sequence);
      CREATE INDEX scope_delta_tombstones ON scope_delta (tenant_id, stored_at) WHERE deleted;

      CREATE TABLE scope_head (
        tenant_id text NOT NULL,
        scope text NOT NULL,
        origin text NOT NULL,
        epoch text NOT NULL,
        sequence bigint NOT NULL,
        live_count bigint NOT NULL,
        hash text NOT NULL,
        pruned_below bigint NOT NULL DEFAULT 0,
        ingest_partition integer NOT NULL,
        ingest_number bigint NOT NULL,
        PRIMARY KEY (tenant_id, scope, origin)
      ) WITH (fillfactor = 70);
      CREATE INDEX scope_head_changes ON scope_head (ingest_partition, ingest_number);

      CREATE TABLE scope_grant (
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        scope text NOT NULL,
        source_type text NOT NULL,
        source_id text NOT NULL,
        granted boolean NOT NULL,
        revision bigint NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now(),
        ingest_partition integer NOT NULL,
        ingest_number bigint NOT NULL,
        PRIMARY KEY (tenant_id, user_id, scope, source_type, source_id)
      );
      CREATE INDEX scope_grant_changes ON scope_grant (ingest_partition, ingest_number);

      CREATE TABLE ingest_head (partition integer PRIMARY KEY, number bigint NOT NULL) WITH (fillfactor = 20);

      CREATE TABLE known_tenant (id text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'));`);
    for (const table of ['scope_delta', 'scope_head', 'scope_grant']) {
      await runner.query(tenantPolicySql(table));
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE scope_delta, scope_head, scope_grant, ingest_head, known_tenant');
  }
}
