import {
  ConflictHistoryReply,
  type ConflictHistoryRequest,
  ConflictId,
  ConflictResolveReply,
  type ConflictResolveRequest,
  ConflictShowReply,
  type ConflictShowRequest,
  ConflictsReply,
  type ConflictsRequest,
  ConflictVerifyReply,
  type ConflictVerifyRequest,
  subjects,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { AskApp } from '../admin/ask-app.ts';

const RESOLVER = 'conflict-resolver';
/** A resolution waits for its owner, and perhaps for the resolution before it. */
const RESOLVE_TIMEOUT_MS = 9_000;

const checkId = validator(ConflictId);
const checkList = validator(ConflictsReply);
const checkShow = validator(ConflictShowReply);
const checkHistory = validator(ConflictHistoryReply);
const checkVerify = validator(ConflictVerifyReply);
const checkResolve = validator(ConflictResolveReply);

/** Asks the conflict-resolver, which owns the ConflictRecords; the gateway keeps no copy. */
export class AskConflicts {
  readonly #apps: AskApp;

  constructor(apps: AskApp) {
    this.#apps = apps;
  }

  /** @throws ProblemError `cursor_invalid`, `unavailable` */
  list(question: ConflictsRequest): Promise<ConflictsReply> {
    return this.#apps.ask(RESOLVER, subjects.conflicts, question, checkList);
  }

  /** @throws ProblemError `not_found`, also for what can be no id; `unavailable` */
  show(question: ConflictShowRequest): Promise<ConflictShowReply> {
    return this.#apps.ask(RESOLVER, subjects.conflictShow, withId(question), checkShow);
  }

  /** @throws ProblemError `not_found`, `cursor_invalid`, `unavailable` */
  history(question: ConflictHistoryRequest): Promise<ConflictHistoryReply> {
    return this.#apps.ask(RESOLVER, subjects.conflictHistory, withId(question), checkHistory);
  }

  /** @throws ProblemError `cursor_invalid`, `unavailable` */
  verify(question: ConflictVerifyRequest): Promise<ConflictVerifyReply> {
    return this.#apps.ask(RESOLVER, subjects.conflictVerify, question, checkVerify);
  }

  /** @throws ProblemError `not_found`, `unavailable` */
  resolve(question: ConflictResolveRequest): Promise<ConflictResolveReply> {
    return this.#apps.ask(RESOLVER, subjects.conflictResolve, question, checkResolve, RESOLVE_TIMEOUT_MS);
  }
}

/**
 * Either case is one id (RFC 9562). The same answer for what can be no id, for what does not exist and for
 * what belongs to somebody else.
 */
function withId<T extends { readonly conflictId: string }>(question: T): T {
  const conflictId = question.conflictId.toLowerCase();
  if (!checkId(conflictId).ok) throw new ProblemError('not_found', 'No such conflict');
  return { ...question, conflictId };
}
