import { derivedUuid } from '@sync/service-kit/derived-uuid';

/**
 * The id of the ConflictRecord of a mutation: the same whenever and by whomever it is decided, so that a
 * decision taken twice is one record.
 */
export function conflictIdOf(mutationId: string): string {
  return derivedUuid(`conflict\0${mutationId}`);
}
