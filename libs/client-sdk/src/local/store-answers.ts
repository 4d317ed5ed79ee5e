/** What the answers of the server change on the device: each part in one transaction. */
import type { PullRequest, PullResponse, PushResponse } from '@sync/protocol';
import { isOverdue } from '../outbox/entry.ts';
import type { LocalState } from './local-state.ts';
import { addScopes, letUnheldGo, purgeScope } from './store-grants.ts';
import { storeOutcomes } from './store-outcomes.ts';
import { dropKept, storePage } from './store-page.ts';

export interface PullStored {
  readonly hadNews: boolean;
  /** Each scope was at its head, and nobody has said meanwhile that there is something new. */
  readonly isComplete: boolean;
  /** A scope was not at its head. */
  readonly hasMore: boolean;
  /** Scopes of which this was a part of a full resync that was not their first one. */
  readonly isResync: boolean;
  /** A scope has never been at its head. */
  readonly isFirstSync: boolean;
}

/**
 * Stores an answer of a pull: pages one by one, each with its cursor, then outcomes, then what was granted
 * and taken away.
 * @param asked as the request had them
 * @param nowIso the time by the device's clock
 * @throws NotLeadingError, StorageError; what was stored by then stays, and comes no second time
 */
export async function storePull(
  local: LocalState,
  asked: PullRequest['scopes'],
  answer: PullResponse,
  nowIso: string,
): Promise<PullStored> {
  const wasSynced = new Map([...local.mirror.scopes].map(([scope, row]) => [scope, row.syncedAt !== null]));
  let hadNews = false;
  for (const page of answer.scopes) {
    const from = asked?.find(({ scope }) => scope === page.scope)?.cursor ?? null;
    hadNews = (await storePage(local, from, page, nowIso)) || hadNews;
  }
  hadNews = (await storeOutcomes(local, answer.outcomes, nowIso)) || hadNews;
  for (const scope of answer.revoked) hadNews = (await purgeScope(local, scope)) || hadNews;
  hadNews = (await addScopes(local, answer.granted ?? [])) || hadNews;
  await letUnheldGo(local, nowIso);
  await dropKept(local, nowIso);
  const served = new Set(answer.scopes.flatMap(({ scope, reset }) => (reset ? [scope] : [])));
  const told = answer.directives.flatMap(({ kind, scopes }) =>
    // A kind that this version does not know is ignored (PULL-17).
    (kind as string) === 'full_resync' ? scopes.filter((scope) => !served.has(scope)) : [],
  );
  const anew = [...new Set([...told, ...overdueScopes(local, nowIso)])];
  const due = anew.filter((scope) => local.asking.mayResync(scope, Date.parse(nowIso)));
  if (due.length > 0) await local.dropCursors(due);
  local.mirror.announce();
  const rows = [...local.mirror.scopes.values()].filter(({ isRevoked }) => !isRevoked);
  return {
    hadNews,
    isComplete: local.asking.hasAsked,
    hasMore: local.asking.isBehind,
    isResync: rows.some(({ scope, isResyncing }) => isResyncing && wasSynced.get(scope)),
    isFirstSync: rows.some(({ syncedAt }) => syncedAt === null),
  };
}

/**
 * Scopes that have everything that there was, and not what the server says of a mutation. The first outcome
 * of each counts: a resync is for all of them.
 */
function overdueScopes({ mirror: { scopes, outbox } }: LocalState, nowIso: string): string[] {
  return [...outbox.unconfirmedScopes()].filter((scope) => {
    const [oldest] = outbox.unconfirmedIn(scope);
    const isAtHead = (scopes.get(scope)?.serverDigest ?? null) !== null;
    return isAtHead && oldest !== undefined && isOverdue(oldest, nowIso);
  });
}

/** @returns whether any of them was news */
export async function storePush(local: LocalState, answer: PushResponse, nowIso: string): Promise<boolean> {
  const hadNews = await storeOutcomes(local, answer.outcomes, nowIso);
  local.mirror.announce();
  return hadNews;
}
