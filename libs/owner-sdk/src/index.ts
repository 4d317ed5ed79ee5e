export { defineEntity, mutatedData } from './entity-definition.ts';
export { accept, reject } from './handler-answer.ts';
export type {
  EntityDefinition,
  EntityUpcaster,
  HandlerContext,
  PushHandlerFunction,
  UpcastContext,
  UpcastFunction,
} from './entity-definition.ts';
export type { EntityData, EntityStore, StoredRow } from './entity-store.ts';
export type { Accepted, HandlerAnswer, Rejected, ServerChange } from './handler-answer.ts';
export { jsonEntityStore, jsonEntityTableSql, jsonEntityTextSql } from './json-entity-store.ts';
export { InboxIdentity1700000000120, OwnerTables1700000000100, ownerMigrations } from './migration.ts';
export { startOwner } from './start-owner.ts';
export type { Owner, OwnerOptions } from './start-owner.ts';
export { InvalidChangeError } from './change-entities.ts';
export type { ChangeResult } from './change-entities.ts';
export { MAX_ENTITY_BYTES } from './push/refuse-data.ts';
export { RegistrationFaultError } from './service-registration.ts';
export type {
  DocumentKeeper,
  DocumentSession,
  OwnDocumentChange,
  ShownDocument,
  TakenUpdate,
} from './document-port.ts';
export type { OwnerLogger, OwnerMetrics, PushReport } from './ports.ts';
