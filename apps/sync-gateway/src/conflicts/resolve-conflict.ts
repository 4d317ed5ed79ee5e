import { readJson } from '@sync/domain';
import {
  type ConflictRecord,
  type ConflictResolveReply,
  type RegisteredEntityType,
  type RemoteDelta,
  type ResolutionTarget,
  type ResolveConflictRequest,
  subjects,
  type Resolution,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import { canonicalClockJson } from '@sync/vector-clock';
import { checkCurrents } from '../push/outcome/check-currents.ts';
import type { Author } from '../push/outcome/settlement.ts';
import { absentText, type EntityHead } from '../read-model/entity-head.ts';
import type { ReadHeads } from '../read-model/read-heads.ts';
import type { RegisteredTypes } from '../registration/registered-types.ts';
import type { OwnConflicts } from './own-conflicts.ts';

/** How long the answer `conflict_moved` waits for the projection to show what the entity moved to. */
const PROJECTION_WAIT_MS = 500;
/** Seconds; another resolution ends within its owner's time-out. */
const RETRY_AFTER = '2';

/**
 * A device's person resolves a conflict: the gateway says what the user may see of the entity and where its
 * owner is, the resolver claims, pushes and records. Whatever dies on the way, the same request again brings
 * it to the same end.
 */
export class ResolveConflict {
  readonly #conflicts: OwnConflicts;
  readonly #heads: ReadHeads;
  readonly #types: RegisteredTypes;

  constructor(conflicts: OwnConflicts, heads: ReadHeads, types: RegisteredTypes) {
    this.#conflicts = conflicts;
    this.#heads = heads;
    this.#types = types;
  }

  /**
   * @returns the resolved record
   * @throws ProblemError `not_found`, `conflict_moved`, `conflict_already_resolved`, `suggestion_not_ready`,
   * `resolution_rejected`, `unavailable`
   */
  async execute(author: Author, request: ResolveConflictRequest): Promise<ConflictRecord> {
    const { tenantId, userId, deviceId } = author;
    const { expectedClock } = request;
    const conflictId = request.conflictId.toLowerCase();
    const resolution = lowerCaseIds(request.resolution);
    const { conflict, held } = await this.#conflicts.show(author, conflictId);
    const type = await this.#typeOf(conflict);
    const [head = null] = await this.#heads.read(author, [conflict]);
    // Into a scope that its user does not hold nothing can be written, as if nobody owned the entity any more.
    const target = type && held ? targetOf(type, head) : null;
    const reply = await this.#conflicts.resolve({
      ...{ tenantId, userId, deviceId, conflictId, resolution, expectedClock, target },
    });
    if (reply.kind === 'rejected' && !held) throw notHeld(conflict);
    if (reply.kind === 'resolved') return reply.conflict;
    if (reply.kind !== 'moved') throw refusalOf(reply);
    const current = await this.#currentOf(author, conflict, request, type);
    throw new ProblemError('conflict_moved', 'The entity is not at expectedClock any more', {
      extra: { current },
    });
  }

  /** A type that a service has just registered may not have reached this replica. */
  async #typeOf({ entityType }: ConflictRecord): Promise<RegisteredEntityType | null> {
    const known = this.#types.find(entityType);
    if (known) return known;
    await this.#types.refresh();
    return this.#types.find(entityType);
  }

  /** The entity as the user may see it. When the owner is ahead of the read model, that is worth a moment. */
  async #currentOf(
    author: Author,
    conflict: ConflictRecord,
    { expectedClock }: ResolveConflictRequest,
    type: RegisteredEntityType | null,
  ): Promise<RemoteDelta> {
    const [seen = null] = await this.#heads.read(author, [conflict]);
    const hasMoved = canonicalClockJson(seen?.clock ?? {}) !== canonicalClockJson(expectedClock);
    const head = hasMoved ? seen : await this.#laterHead(author, conflict, seen);
    const text = head?.wire ?? absentText(conflict, type?.schemaVersion ?? 1, new Date().toISOString());
    const shown = { address: conflict, current: text, told: null };
    const [current] = await checkCurrents(this.#heads, author, [shown]);
    if (current) return readJson(current) as RemoteDelta;
    throw new ProblemError('unavailable', 'What it moved to cannot be shown yet', {
      headers: { 'retry-after': RETRY_AFTER },
    });
  }

  /** Waits for a later revision. @returns without one what there is now: it may have left the scope */
  async #laterHead(
    author: Author,
    conflict: ConflictRecord,
    seen: EntityHead | null,
  ): Promise<EntityHead | null> {
    const work = { mutation: conflict };
    const wanted = [{ work, revision: (seen?.revision ?? 0) + 1 }];
    const later = (await this.#heads.waitFor(author, wanted, PROJECTION_WAIT_MS)).get(work);
    if (later) return later;
    const [now = null] = await this.#heads.read(author, [conflict]);
    return now;
  }
}

/** Devices may write UUIDs in either case. */
function lowerCaseIds({ suggestionId, ...resolution }: Resolution): Resolution {
  return suggestionId === undefined
    ? resolution
    : { ...resolution, suggestionId: suggestionId.toLowerCase() };
}

/** What is not in the scope, or not to be seen by this user, is an entity that does not exist. */
function targetOf(type: RegisteredEntityType, head: EntityHead | null): ResolutionTarget {
  const { service, entityType, pushSubject, schemaVersion, policy } = type;
  const wire = head && !head.deleted ? (readJson(head.wire) as RemoteDelta) : null;
  return {
    service,
    pushSubject: pushSubject ?? subjects.push(service, entityType),
    schemaVersion,
    policy,
    revision: head?.revision ?? 0,
    clock: { ...head?.clock },
    data: wire?.data ?? null,
  };
}

function notHeld({ scope }: ConflictRecord): ProblemError {
  return new ProblemError('resolution_rejected', `/scope: the user does not hold "${scope}"`, {
    extra: { ownerCode: 'scope_not_held' },
  });
}

function refusalOf(reply: Exclude<ConflictResolveReply, { kind: 'resolved' | 'moved' }>): ProblemError {
  switch (reply.kind) {
    case 'already_resolved':
      return new ProblemError('conflict_already_resolved', 'Somebody resolved it before', {
        extra: { conflict: reply.conflict },
      });
    case 'rejected':
      return new ProblemError('resolution_rejected', reply.message === '' ? reply.code : reply.message, {
        extra: { ownerCode: reply.code },
      });
    case 'suggestion_not_ready':
      return new ProblemError('suggestion_not_ready', `The suggestion is ${reply.status}`, {
        extra: { suggestionStatus: reply.status },
      });
    case 'busy':
      return new ProblemError('unavailable', 'It is being resolved, or its owner does not answer', {
        headers: { 'retry-after': RETRY_AFTER },
      });
  }
}
