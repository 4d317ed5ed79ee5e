import { type EntityDefinition, defineEntity, reject } from '@sync/owner-sdk';
import { CONFLICT_ENTITY_TYPE } from '@sync/protocol';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';
import { loadConflicts } from './announce-conflicts.ts';

/**
 * ConflictRecords are synced as data: the resolver is an owning service like any other, and its entity type
 * `conflict` reaches the user whose mutation it was about.
 */
export function conflictEntity(suggestions: SuggestionSource): EntityDefinition {
  return defineEntity({
    entityType: CONFLICT_ENTITY_TYPE,
    schemaVersion: 1,
    policy: 'server_authoritative',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    handle: () => reject('forbidden', 'A ConflictRecord changes only through resolve-conflict'),
    load: (tx, tenantId, conflictIds) => loadConflicts(tx, suggestions, tenantId, conflictIds),
    // Records are inserted before they are announced, in the same transaction; there is nothing left to
    // write.
    store: () => Promise.resolve(),
  });
}
