import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A push that is being worked on, as one row; the ledger gets its mutations when their outcomes are known, so
 * that each is written once. Whoever has to see them earlier (another push of the device, the dispatcher
 * after a crash) first spreads the row into the ledger as open mutations, see push/ledger/push-spread.sql.
 * Arrays have one element per mutation, texts one line.
 *
 * At most one per device: a device has one push at a time, and the second one spreads the first. Nothing is
 * compressed: a row lives for milliseconds, and compressing 100 KB takes one of them.
 *
 * `mutation.clock` goes: the payload has it, and nobody read it.
 */
export class ReceivedPush1764000000800 implements MigrationInterface {
  readonly name = 'ReceivedPush1764000000800';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE received_push (
        tenant_id text NOT NULL,
        device_id text NOT NULL,
        user_id text NOT NULL,
        mutation_ids uuid[] NOT NULL,
        hashes text[] NOT NULL,
        sequences bigint[] NOT NULL,
        scopes text[] NOT NULL,
        entity_types text[] NOT NULL,
        entity_ids text[] NOT NULL,
        ops text[] NOT NULL,
        occurred_at_ms double precision[] NOT NULL,
        depends_on jsonb,
        payloads text NOT NULL,
        decided_ids uuid[],
        decisions text,
        received_at timestamptz NOT NULL DEFAULT now(),
        next_attempt_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, device_id)
      ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
              toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000);
      ALTER TABLE received_push
        ALTER COLUMN mutation_ids SET STORAGE EXTERNAL, ALTER COLUMN hashes SET STORAGE EXTERNAL,
        ALTER COLUMN entity_ids SET STORAGE EXTERNAL, ALTER COLUMN payloads SET STORAGE EXTERNAL,
        ALTER COLUMN decisions SET STORAGE EXTERNAL;
      ALTER TABLE mutation DROP COLUMN clock;`);
    await runner.query(tenantPolicySql('received_push'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE received_push; ALTER TABLE mutation ADD COLUMN clock jsonb');
  }
}
