import { chainTableSql, tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The audit log: one chain of hashes for each tenant, and one for the platform (ADR 0045). `entry` is the
 * canonical JSON text that was hashed; the columns beside it repeat what lists are filtered by.
 *
 * The indexes have the order of the lists: newest first, of all, of one actor, of one operation.
 */
const TABLE = `
CREATE TABLE audit_entry (
  tenant_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL CHECK (position > 0),
  at timestamptz NOT NULL,
  actor text COLLATE "C" NOT NULL,
  operation text COLLATE "C" NOT NULL,
  outcome text NOT NULL,
  entry text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (tenant_id, position)
);
CREATE INDEX audit_entry_at ON audit_entry (tenant_id, at, position);
CREATE INDEX audit_entry_of_actor ON audit_entry (tenant_id, actor, at, position);
CREATE INDEX audit_entry_of_operation ON audit_entry (tenant_id, operation, at, position);`;

/** Its guards come from the same helper as those of any other chain. */
export class CreateAuditLog1764000001090 implements MigrationInterface {
  readonly name = 'CreateAuditLog1764000001090';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLE);
    await runner.query(tenantPolicySql('audit_entry'));
    await runner.query(chainTableSql('audit_entry'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE audit_entry, audit_entry_anchor');
  }
}
