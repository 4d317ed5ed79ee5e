import {
  type SuggestionReply,
  SuggestionReply as ReplySchema,
  type SuggestionRequest,
  subjects,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { Caller } from '../access/caller.ts';
import type { AskApp } from '../admin/ask-app.ts';
import { stateOfHead } from '../read-model/entity-head.ts';
import type { ReadHeads } from '../read-model/read-heads.ts';

const checkReply = validator(ReplySchema);
const CONFLICT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What became of the request; the suggestion itself follows in the ConflictRecord. */
export interface AskedSuggestion {
  readonly suggestionId: string;
  readonly status: string;
}

/**
 * A user asks for a suggestion how to merge one of its conflicts. The resolver knows the conflict, the
 * gateway what the entity is now and whether the user still holds its scope: the resolver is asked first,
 * which refuses what is to be refused, and again with the entity's state.
 */
export class RequestSuggestion {
  readonly #apps: AskApp;
  readonly #heads: ReadHeads;

  constructor(apps: AskApp, heads: ReadHeads) {
    this.#apps = apps;
    this.#heads = heads;
  }

  /**
   * @throws ProblemError `not_found`, `conflict_already_resolved`, `suggestions_disabled`, `rate_limited` or
   * `unavailable`
   */
  async ask(caller: Caller, sentId: string): Promise<AskedSuggestion> {
    const conflictId = sentId.toLowerCase();
    // What can be no conflict is none of this user's either.
    if (!CONFLICT_ID.test(conflictId)) throw unknownConflict(conflictId);
    const { tenantId, userId, deviceId } = caller;
    const question = { tenantId, userId, deviceId, conflictId };
    const first = await this.#send(question);
    const reply =
      first.kind === 'needs_present'
        ? await this.#send({ ...question, present: await this.#presentOf(caller, conflictId, first) })
        : first;
    switch (reply.kind) {
      case 'asked':
        return { suggestionId: reply.suggestionId, status: reply.status };
      case 'over_budget':
        throw new ProblemError('rate_limited', 'The budget for suggestions is used up for today', {
          headers: { 'retry-after': String(Math.ceil(reply.retryAfterMs / 1_000)) },
        });
      case 'needs_present':
        throw new ProblemError('internal', 'The conflict-resolver asked for what it had been given');
    }
  }

  #send(question: SuggestionRequest): Promise<SuggestionReply> {
    return this.#apps.ask('conflict-resolver', subjects.suggestionRequest, question, checkReply);
  }

  async #presentOf(
    caller: Caller,
    conflictId: string,
    { scope, entityType, entityId }: Extract<SuggestionReply, { kind: 'needs_present' }>,
  ): Promise<NonNullable<SuggestionRequest['present']>> {
    const [head] = await this.#heads.read(caller, [{ scope, entityType, entityId }]);
    // Taken away from the user since: what the entity is now is not theirs to be shown, not even through a
    // model.
    if (!head) throw unknownConflict(conflictId);
    const { clock, data } = stateOfHead(head);
    return { clock, data };
  }
}

function unknownConflict(conflictId: string): ProblemError {
  return new ProblemError('not_found', `No conflict "${conflictId.slice(0, 100)}"`);
}
