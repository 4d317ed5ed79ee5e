/**
 * The tag of a mutation (PUSH-22): an HMAC by which its device says, when it makes a mutation, that it is its
 * own. Pure, as http-signature.ts is: what is hashed is built here, hashing is the caller's.
 */
import { rfc8785Json } from '@sync/domain';

/** Whose mutation it is: a tag of one author is none of another. */
export interface TagAuthor {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

/**
 * The `info` of HKDF-SHA-256 (RFC 5869), in UTF-8, that makes the key of tags from the key of the device,
 * without a salt, 32 bytes long. A key of its own, so that no signature of a request can ever be a tag; with
 * the author in it, so that a mutation that is moved to another queue has no valid tag there. Ids hold no NUL.
 */
export function tagKeyInfo({ tenantId, userId, deviceId }: TagAuthor): string {
  return ['sync-mutation-tag-v1', tenantId, userId, deviceId].join('\0');
}

/**
 * What a tag is the HMAC-SHA-256 of, in UTF-8: the mutation as it is sent, all its fields but `tag`, as
 * RFC 8785 writes it. Its UUIDs are in lower case (COMMON-18).
 */
export function taggedText(mutation: Readonly<Record<string, unknown>>): string {
  const { tag: _tag, ...content } = mutation;
  return rfc8785Json(content);
}
