import type { Database } from '@sync/postgres';
import {
  type ConflictRecord,
  type ConflictResolveReply,
  type ConflictResolveRequest,
  withoutServerSide,
} from '@sync/protocol';
import type { Caller } from '../access/caller.ts';
import { holdsScope } from '../grants/holds-scope.ts';
import type { AskConflicts } from './ask-conflicts.ts';

/** A ConflictRecord as its user may see it. */
export interface OwnConflict {
  readonly conflict: ConflictRecord;
  /** Whether the user holds the scope of its entity. */
  readonly held: boolean;
}

/**
 * A user's own ConflictRecords. They are kept for ever, and the scope of their entity may have been taken from
 * the user since: then they show what the user wrote, and not what the server had.
 */
export class OwnConflicts {
  readonly #conflicts: AskConflicts;
  readonly #database: Pick<Database, 'call'>;

  constructor(conflicts: AskConflicts, database: Pick<Database, 'call'>) {
    this.#conflicts = conflicts;
    this.#database = database;
  }

  /** @throws ProblemError `not_found`, also for what can be no id; `unavailable` */
  async show(
    { tenantId, userId }: Pick<Caller, 'tenantId' | 'userId'>,
    conflictId: string,
  ): Promise<OwnConflict> {
    const { conflict } = await this.#conflicts.show({ tenantId, userId, conflictId });
    return this.#asHeld(tenantId, conflict);
  }

  /** @throws ProblemError `not_found`, `unavailable` */
  async resolve(request: ConflictResolveRequest): Promise<ConflictResolveReply> {
    const reply = await this.#conflicts.resolve(request);
    if (!('conflict' in reply)) return reply;
    return { ...reply, conflict: (await this.#asHeld(request.tenantId, reply.conflict)).conflict };
  }

  async #asHeld(tenantId: string, conflict: ConflictRecord): Promise<OwnConflict> {
    const { userId, scope } = conflict;
    const held = await holdsScope(this.#database, { tenantId, userId }, scope);
    return { conflict: held ? conflict : withoutServerSide(conflict), held };
  }
}
