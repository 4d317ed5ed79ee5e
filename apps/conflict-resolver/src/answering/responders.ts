import type { NatsConnection } from '@nats-io/transport-node';
import { Responder } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { ConflictResolveRequest, subjects } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { answerHistory } from '../history/answer-history.ts';
import { answerVerify } from '../history/answer-verify.ts';
import { answerList } from '../listing/answer-list.ts';
import { answerShow } from '../listing/answer-show.ts';
import type { ResolveConflict } from '../resolve/resolve-conflict.ts';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';
import { checked } from './checked.ts';

/** What the resolver answers with. */
export interface Answering {
  readonly nats: NatsConnection;
  readonly queue: string;
  readonly logger: Logger;
  readonly database: Database;
  readonly suggestions: SuggestionSource;
  readonly resolve: Pick<ResolveConflict, 'execute'>;
}

const checkResolve = checked(ConflictResolveRequest);

/** Answers everything that the gateway asks; replicas of one queue share the requests. */
export function startResponders(answering: Answering): Responder[] {
  const { nats, queue, logger, database, suggestions, resolve } = answering;
  const handlers: readonly (readonly [string, (body: unknown) => Promise<unknown>])[] = [
    [subjects.conflicts, (body) => answerList(database, body)],
    [subjects.conflictShow, (body) => answerShow(database, suggestions, body)],
    [subjects.conflictHistory, (body) => answerHistory(database, body)],
    [subjects.conflictVerify, (body) => answerVerify(database, body)],
    [subjects.conflictResolve, async (body) => resolve.execute(checkResolve(body))],
  ];
  return handlers.map(([subject, handle]) => new Responder({ nats, queue, logger, subject, handle }));
}
