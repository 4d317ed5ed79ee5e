import type { LocalMutation } from '@sync/protocol';

/** Which entity, and the scope through which a device sees it. */
export type EntityAddress = Pick<LocalMutation, 'scope' | 'entityType' | 'entityId'>;

/** NUL occurs in none of the parts. */
export function addressKey({ scope, entityType, entityId }: EntityAddress): string {
  return `${scope}\0${entityType}\0${entityId}`;
}
