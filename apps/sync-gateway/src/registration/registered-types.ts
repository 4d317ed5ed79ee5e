import type { RegisteredEntityType } from '@sync/protocol';

/** The registered entity types, from memory. */
export interface RegisteredTypes {
  find(entityType: string): RegisteredEntityType | null;
  /** Reads them again unless that has just been done: before a mutation is refused for good. */
  refresh(): Promise<void>;
}
