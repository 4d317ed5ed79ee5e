import { canonicalJson, type JsonObject, readJson } from '@sync/domain';
import type { AuditActor, AuditEntry, AuditOutcome } from '@sync/protocol';
import type { Link } from '@sync/postgres';

/** A line to be written, before it has its place in a chain. */
export interface AuditDraft {
  /** RFC 3339 */
  readonly at: string;
  readonly actor: AuditActor;
  /** The operationId of the admin API, `registerService`, or `several`. */
  readonly operation: string;
  /** The path below `/admin/v1/`. */
  readonly target: string;
  readonly requestId: string | null;
  readonly outcome: AuditOutcome;
  /** The problem code of what was refused. */
  readonly code: string | null;
  /** Position of the line `attempted` that this one ends. */
  readonly attempt: string | null;
  /** Refused attempts that it stands for. */
  readonly count: number;
  /** Ids, names and numbers: no secrets, nothing of an entity. */
  readonly detail: JsonObject;
}

/** Characters of a target; ids in paths have at most 128. */
const MAX_TARGET = 256;
/** Characters of a detail as JSON, so that a line stays small whatever was asked. */
const MAX_DETAIL = 4_000;

/** What of a draft is hashed, with the hash of the line before it. */
export function fieldsOf(tenantId: string, draft: AuditDraft, position: string): JsonObject {
  const { actor, target, detail, ...rest } = draft;
  const length = canonicalJson(detail).length;
  return {
    ...rest,
    position,
    tenantId,
    actor,
    target: target.slice(0, MAX_TARGET),
    detail: length <= MAX_DETAIL ? detail : { omittedCharacters: length },
  };
}

/** A stored line as the API shows it. */
export function entryOf({ text, hash }: Link): AuditEntry {
  return { ...(readJson(text) as Omit<AuditEntry, 'hash'>), hash };
}

/** What a list is filtered by: the user or service; nobody in particular has an empty name. */
export function actorName(actor: AuditActor): string {
  switch (actor.kind) {
    case 'person':
      return actor.userId;
    case 'service':
      return actor.service;
    case 'others':
      return '';
  }
}
