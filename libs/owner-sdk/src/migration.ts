import { messagingMigrations } from '@sync/messaging';
import { tenantPolicySql, type MigrationClass } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { addColumns } from './add-columns.ts';

/**
 * What the SDK keeps beside a service's own tables.
 *
 * - `sync_entity`: revision and VectorClock of each entity; the row whose lock serializes all changes of the
 *   entity. Deleted entities keep theirs: a later create goes on counting.
 * - `sync_mutation_inbox`: the final answer to each mutation, and which change it was (`identity`); pruned by
 *   age, hence the BRIN index (rows arrive in time order, so it has a few pages where a B-tree would cost as
 *   much as the primary key).
 * - `sync_tenant`: the tenants that were ever here. Row level security hides them from a query over all
 *   tenants, which a snapshot is. It holds no tenant's data and has no policy.
 *
 * Ids compare by code point (collation C) on every server, so that sorting ids in JavaScript and in SQL is
 * the same.
 */
export const OWNER_TABLES = `
CREATE TABLE sync_entity (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL CHECK (revision > 0),
  clock jsonb NOT NULL,
  deleted boolean NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, entity_type, entity_id)
) WITH (fillfactor = 80);

CREATE TABLE sync_mutation_inbox (
  tenant_id text COLLATE "C" NOT NULL,
  mutation_id uuid NOT NULL,
  result jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, mutation_id)
);
CREATE INDEX sync_mutation_inbox_at ON sync_mutation_inbox USING brin (at);

CREATE TABLE sync_tenant (tenant_id text COLLATE "C" PRIMARY KEY);
`;

/** The tables of the SDK; needs the tables of `@sync/messaging`, see {@link ownerMigrations}. */
export class OwnerTables1700000000100 implements MigrationInterface {
  readonly name = 'OwnerTables1700000000100';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(OWNER_TABLES);
    await queryRunner.query(tenantPolicySql('sync_entity'));
    await queryRunner.query(tenantPolicySql('sync_mutation_inbox'));
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE sync_entity, sync_mutation_inbox, sync_tenant');
  }
}

/**
 * What an appended record was sent as, by which it is known again; see {@link SentRecord}. Other rows have
 * none.
 */
export const SentRecords1700000000110 = addColumns('SentRecords1700000000110', {
  sync_entity: { sent_by: 'text', sent_digest: 'text' },
});

/**
 * `sync_mutation_inbox.identity`: that of the pushed mutation; null where none came with it, and in rows from
 * before.
 */
export const InboxIdentity1700000000120 = addColumns('InboxIdentity1700000000120', {
  sync_mutation_inbox: { identity: 'bytea' },
});

/** Everything the SDK needs in a service's database: put it before the service's own migrations. */
export const ownerMigrations: readonly MigrationClass[] = [
  ...messagingMigrations,
  OwnerTables1700000000100,
  SentRecords1700000000110,
  InboxIdentity1700000000120,
];
