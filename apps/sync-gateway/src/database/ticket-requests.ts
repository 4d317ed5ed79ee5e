import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Signatures of requests for tickets, so that a captured one gets no ticket on any replica. */
export class TicketRequests1764000001030 implements MigrationInterface {
  readonly name = 'TicketRequests1764000001030';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE ticket_request (
        tenant_id text NOT NULL,
        signature text NOT NULL,
        used_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, signature)
      )`);
    await runner.query(tenantPolicySql('ticket_request'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE ticket_request');
  }
}
