export {
  DocumentClientDevices1700000000310,
  DocumentTables1700000000300,
  documentMigrations,
} from './document-tables.ts';
export { DocumentHistoryError, KeptDocuments } from './keep-documents.ts';
export type { DocumentPoint, KeepDocumentsOptions } from './keep-documents.ts';
export type { DocumentKey } from './document-rows.ts';
