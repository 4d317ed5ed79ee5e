import { readFileSync } from 'node:fs';
import { messagingMigrations } from '@sync/messaging';
import type { FunctionScript, MigrationClass, TableRights } from '@sync/postgres';
import { CreateAuditLog1764000001090 } from './create-audit-log.ts';
import { CountFailures1764000000750 } from './count-failures.ts';
import { CreateDeviceScopes1764000000100 } from './create-device-scopes.ts';
import { CreateLedger1764000000200 } from './create-ledger.ts';
import { CreateReadModel1764000000000 } from './create-read-model.ts';
import { CreateRegistrations1764000000300 } from './create-registrations.ts';
import { DocumentParts1764000000700 } from './document-parts.ts';
import { DueDocuments1764000000850 } from './due-documents.ts';
import { KnowAnswers1764000000950 } from './know-answers.ts';
import { FillCounters1764000000970 } from './fill-counters.ts';
import { KeepDecision1764000000500 } from './keep-decision.ts';
import { OutcomeAskers1764000000960 } from './outcome-askers.ts';
import { OrderIndex1764000000600 } from './order-index.ts';
import { PayloadAsText1764000000400 } from './payload-as-text.ts';
import { ReceivedPush1764000000800 } from './received-push.ts';
import { ReceivedSequences1764000001000 } from './received-sequences.ts';
import { RegisteredByOwner1764000001020 } from './registered-by-owner.ts';
import { RegistrationAsSent1764000000980 } from './registration-as-sent.ts';
import { RefusedChanges1764000000995 } from './refused-changes.ts';
import { SealSecrets1764000001100 } from './seal-secrets.ts';
import { ShownEntities1764000000990 } from './shown-entities.ts';
import { SlimWaitingIndex1764000001010 } from './slim-waiting-index.ts';
import { TicketRequests1764000001030 } from './ticket-requests.ts';

/** In the order of their timestamps. */
export const MIGRATIONS: readonly MigrationClass[] = [
  ...messagingMigrations,
  CreateReadModel1764000000000,
  CreateDeviceScopes1764000000100,
  CreateLedger1764000000200,
  CreateRegistrations1764000000300,
  PayloadAsText1764000000400,
  KeepDecision1764000000500,
  OrderIndex1764000000600,
  DocumentParts1764000000700,
  CountFailures1764000000750,
  ReceivedPush1764000000800,
  DueDocuments1764000000850,
  KnowAnswers1764000000950,
  OutcomeAskers1764000000960,
  FillCounters1764000000970,
  RegistrationAsSent1764000000980,
  ShownEntities1764000000990,
  RefusedChanges1764000000995,
  ReceivedSequences1764000001000,
  SlimWaitingIndex1764000001010,
  RegisteredByOwner1764000001020,
  TicketRequests1764000001030,
  CreateAuditLog1764000001090,
  SealSecrets1764000001100,
];

/** The audit log is evidence: rights and triggers refuse the same, so that a mistake in one changes nothing. */
export const APP_RIGHTS: readonly TableRights[] = [
  { table: 'audit_entry', rights: 'SELECT, INSERT' },
  { table: 'audit_entry_anchor', rights: 'SELECT' },
];

/**
 * SQL functions; each lives beside the store that calls it. In an order in which none names a row type or
 * function that comes later.
 */
const SCRIPTS = [
  'database/sync-event.sql',
  'grants/held-scopes.sql',
  'grants/shown-wire.sql',
  'access/note-revocation.sql',
  'access/revoked-since.sql',
  'ingest/keep-document-parts.sql',
  'ingest/ingest-deltas.sql',
  'ingest/prune-tombstones.sql',
  'compaction/compact-document.sql',
  'pull/document-page.sql',
  'push/outcome/shown-outcomes.sql',
  'pull/pull.sql',
  'ack/ack.sql',
  'ack/ack-together.sql',
  'heads/sweep-changes.sql',
  'live/tickets.sql',
  'push/ledger/push-spread.sql',
  'push/ledger/push-receive.sql',
  'push/ledger/push-receive-together.sql',
  'push/ledger/push-decided.sql',
  'push/ledger/completion-events.sql',
  'push/ledger/push-complete.sql',
  'push/ledger/push-complete-together.sql',
  'read-model/read-known.sql',
  'push/ledger/prune-ledger.sql',
  'dispatch/dispatch-take.sql',
] as const;

export const FUNCTIONS: readonly FunctionScript[] = SCRIPTS.map((name) => ({
  name,
  sql: readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'),
}));
