import type { MigrationClass } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { INBOX_ADVANCE, MESSAGING_FUNCTIONS, OUTBOX_NUMBER } from './migration-functions.ts';

/**
 * The tables of the hop, the same in every database. They are infrastructure: no tenant column, no row level
 * security.
 *
 * `sync_outbox` has no primary key on purpose: `id` is unique by its sequence and never looked up alone, and
 * each index costs once at the insert and once more when the row gets its number. The partial index holds
 * only what waits for a number, so the relay's poll of an idle partition touches one page.
 *
 * `sync_outbox_mark` remembers how far a partition was published at which time: rows are kept for a time
 * after they were published, and a time per row would be a third version of each row.
 *
 * `payload` is bounded below NATS's default of 1 MiB for a message: a row that can never be published would
 * stop its partition for good, so the writer's transaction fails instead.
 *
 * Fill factor and vacuum: heads, watermarks and leases are a handful of rows that are updated all day (HOT,
 * room on the page); outbox rows live a day and are vacuumed by absolute counts, not by a share of the table.
 */
export const MESSAGING_TABLES = `
CREATE TABLE sync_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY,
  stream text NOT NULL,
  partition integer NOT NULL CHECK (partition >= 0),
  number bigint,
  payload text NOT NULL CHECK (octet_length(payload) <= 983040),
  created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
CREATE INDEX sync_outbox_unnumbered ON sync_outbox (stream, partition, id) WHERE number IS NULL;
CREATE UNIQUE INDEX sync_outbox_numbered ON sync_outbox (stream, partition, number) WHERE number IS NOT NULL;

CREATE TABLE sync_outbox_head (
  stream text NOT NULL,
  partition integer NOT NULL,
  epoch text NOT NULL,
  number bigint NOT NULL DEFAULT 0,
  published bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (stream, partition),
  CHECK (published <= number)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE sync_outbox_mark (
  stream text NOT NULL,
  partition integer NOT NULL,
  marked_at timestamptz NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (stream, partition, marked_at)
);

CREATE TABLE sync_inbox (
  consumer text NOT NULL,
  stream text NOT NULL,
  producer text NOT NULL,
  partition integer NOT NULL,
  epoch text NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (consumer, stream, producer, partition, epoch)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE sync_lease (
  name text PRIMARY KEY,
  holder text NOT NULL,
  token bigint NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
`;

class MessagingTables1700000000000 implements MigrationInterface {
  readonly name = 'MessagingTables1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(MESSAGING_TABLES);
    await queryRunner.query(MESSAGING_FUNCTIONS);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      DROP FUNCTION sync_outbox_take, sync_inbox_begin, sync_lease_tick, sync_lease_release,
        sync_append_outbox, sync_partition_of;
      DROP TABLE sync_outbox, sync_outbox_head, sync_outbox_mark, sync_inbox, sync_lease;`);
  }
}

/**
 * Stores payloads as they are, out of line. The default compresses what is larger than 2 KB with pglz: 1 ms
 * of CPU for a message of 100 KB at the write and 0.3 ms at each read, for rows that live a day. What that
 * costs in disk is bounded by the retention; lz4 would do both, but not every build of Postgres has it.
 */
class OutboxStorage1700000000010 implements MigrationInterface {
  readonly name = 'OutboxStorage1700000000010';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE sync_outbox ALTER COLUMN payload SET STORAGE EXTERNAL');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE sync_outbox ALTER COLUMN payload SET STORAGE EXTENDED');
  }
}

/** A consumer's transaction advances the watermarks of several partitions in one statement. */
class InboxAdvance1700000000020 implements MigrationInterface {
  readonly name = 'InboxAdvance1700000000020';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(INBOX_ADVANCE);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION sync_inbox_advance');
  }
}

/** A relay numbers in fewer statements, and makes one message of what nobody waits for. */
class OutboxNumber1700000000030 implements MigrationInterface {
  readonly name = 'OutboxNumber1700000000030';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(OUTBOX_NUMBER);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION sync_outbox_number, sync_outbox_waiting, sync_outbox_unpublished');
  }
}

/**
 * Outbox, inbox and leases: every database that sends or receives messages begins its migrations with these.
 */
export const messagingMigrations: readonly MigrationClass[] = [
  MessagingTables1700000000000,
  OutboxStorage1700000000010,
  InboxAdvance1700000000020,
  OutboxNumber1700000000030,
];
