import { tenantPolicySql, type MigrationClass } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { addColumns } from '../add-columns.ts';

/**
 * - `sync_document`: where a document stands. `state` is everything as one update; `sequence` counts its
 *   changes within the epoch. A new epoch is a new document under the same id: nothing of the old one may be
 *   merged into it. The dot of the change that began it tells whether a device has seen it.
 * - `sync_document_update`: every change as it was admitted, with the dot of its mutation; kept 30 days
 *   (after that each replica's newest stays without bytes). It is what devices have seen or not, what a
 *   restore goes back over, and the proof of who wrote what.
 * - `sync_document_base`: the state at some sequences, so that going back need not begin at the first
 *   keystroke. One is kept when the log since the last weighs ten times as much, hence at most a tenth of the
 *   log.
 * - `sync_document_client`: whose clientID it is: the user, and the device, that wrote under it first.
 * - `sync_document_backup`: before each merge of concurrent edits, where the document stood: a pointer, not a
 *   copy.
 */
const DOCUMENT_TABLES = `
CREATE TABLE sync_document (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  epoch integer NOT NULL,
  epoch_replica text NOT NULL,
  epoch_counter bigint NOT NULL,
  sequence bigint NOT NULL,
  state bytea NOT NULL,
  state_vector bytea NOT NULL,
  state_hash text NOT NULL,
  bytes_since_base bigint NOT NULL,
  PRIMARY KEY (tenant_id, entity_type, entity_id)
);
CREATE TABLE sync_document_update (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  epoch integer NOT NULL,
  sequence bigint NOT NULL,
  doc_update bytea NOT NULL,
  replica text NOT NULL,
  counter bigint NOT NULL,
  mutation_id uuid,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, entity_type, entity_id, epoch, sequence)
);
CREATE TABLE sync_document_base (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  epoch integer NOT NULL,
  sequence bigint NOT NULL,
  state bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, entity_type, entity_id, epoch, sequence)
);
CREATE TABLE sync_document_client (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  client_id bigint NOT NULL,
  owner text NOT NULL,
  PRIMARY KEY (tenant_id, entity_type, entity_id, client_id)
);
CREATE TABLE sync_document_backup (
  tenant_id text COLLATE "C" NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  entity_id text COLLATE "C" NOT NULL,
  epoch integer NOT NULL,
  sequence bigint NOT NULL,
  state_hash text NOT NULL,
  mutation_id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, entity_type, entity_id, epoch, sequence)
);`;

const TABLES = ['', '_update', '_base', '_client', '_backup'].map((part) => `sync_document${part}`);

/** Makes the tables of documents, their updates and their backups: for {@link KeptDocuments}. */
export class DocumentTables1700000000300 implements MigrationInterface {
  readonly name = 'DocumentTables1700000000300';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(DOCUMENT_TABLES);
    for (const table of TABLES) await runner.query(tenantPolicySql(table));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ${TABLES.join(', ')}`);
  }
}

/**
 * The device of a clientID; rows from before have none, and take that of the user's device which writes next.
 * `closed`: two histories were written under it, as by a device that was restored from a backup.
 */
export const DocumentClientDevices1700000000310 = addColumns('DocumentClientDevices1700000000310', {
  sync_document_client: { device: 'text COLLATE "C"', closed: 'boolean NOT NULL DEFAULT false' },
});

/**
 * Changes are told apart by more than their dot once devices were folded away in an entity's clock
 * (`ChangeDot.folds`).
 */
export const FoldedDots1700000000320 = addColumns('FoldedDots1700000000320', {
  sync_document: { epoch_folds: 'bigint NOT NULL DEFAULT 0' },
  sync_document_update: { folds: 'bigint NOT NULL DEFAULT 0' },
});

/** What documents need in a service's database: put it after `ownerMigrations`. */
export const documentMigrations: readonly MigrationClass[] = [
  DocumentTables1700000000300,
  DocumentClientDevices1700000000310,
  FoldedDots1700000000320,
];
