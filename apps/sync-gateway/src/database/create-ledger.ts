import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The ledger: every LocalMutation that was ever answered, with its outcome.
 *
 * `status` is `pending` (received, not yet answered), `accepted` (answered, its outcome will follow) or a
 * terminal one; `outcome` is then the wire text of the Outcome, sent as it stands whenever it is asked for
 * again, and waits in the device's pulls until `acked_at` is set. `arrival` keeps the order of one device.
 * `attempts` is the fence of background work: whoever completes a mutation names the attempt it belongs to,
 * and an older one writes nothing. `may_be_sent` says that an owner may have got it without our having its
 * answer. A mutation that matches no schema has no payload, only its hash and its outcome; one that was
 * applied has none any more, because it is its owner's data then.
 *
 * `dispatch_queue` has one row per device with open work and nothing in it that belongs to a tenant but the
 * names: the dispatcher must find work of all tenants, which row level security forbids on the ledger. The
 * row is also the lock under which a device's ledger rows are received and completed, so that two replicas
 * never disagree about what comes first.
 */
export class CreateLedger1764000000200 implements MigrationInterface {
  readonly name = 'CreateLedger1764000000200';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE mutation (
        tenant_id text NOT NULL,
        mutation_id uuid NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        arrival bigint GENERATED ALWAYS AS IDENTITY,
        sequence bigint,
        scope text,
        entity_type text,
        entity_id text,
        op text,
        payload json,
        payload_hash bytea NOT NULL,
        clock jsonb,
        depends_on uuid[],
        occurred_at timestamptz,
        received_at timestamptz NOT NULL DEFAULT now(),
        status text NOT NULL DEFAULT 'pending'
          CHECK (status IN ('pending', 'accepted', 'applied', 'merged', 'superseded', 'rejected', 'conflict')),
        outcome text,
        terminal_at timestamptz,
        acked_at timestamptz,
        attempts integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz,
        may_be_sent boolean NOT NULL DEFAULT true,
        last_error text,
        -- The mutation first: a key that begins with the tenant is, to the planner, as good as mutation_open for finding a device's open rows
        -- (without statistics every tenant has one row), and each push then read the tenant's whole ledger.
        PRIMARY KEY (mutation_id, tenant_id),
        CHECK ((terminal_at IS NULL) = (outcome IS NULL))
      ) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
      CREATE INDEX mutation_outcome_waiting ON mutation (tenant_id, user_id, device_id, terminal_at, mutation_id)
        WHERE terminal_at IS NOT NULL AND acked_at IS NULL;
      CREATE INDEX mutation_open ON mutation (tenant_id, device_id, entity_type, entity_id, arrival)
        WHERE terminal_at IS NULL;
      -- For retention only: block ranges cost an insert next to nothing, and rows arrive in the order of their time.
      CREATE INDEX mutation_received ON mutation USING brin (received_at);

      CREATE TABLE dispatch_queue (
        tenant_id text NOT NULL,
        device_id text NOT NULL,
        next_attempt_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, device_id)
      ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
      CREATE INDEX dispatch_queue_due ON dispatch_queue (next_attempt_at);`);
    await runner.query(tenantPolicySql('mutation'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE mutation, dispatch_queue');
  }
}
