/** What the device tells the server that it has stored. */
import type { AckRequest } from '@sync/protocol';
import { LIMITS } from '@sync/protocol/device';
import { isDone } from '../outbox/entry.ts';
import { freshScope, scopeKey } from '../replica/rows.ts';
import type { LocalState } from './local-state.ts';
import { entryAddress, entryPut, scopePut } from './stored-rows.ts';

/** @returns what there is to ack; null when there is nothing */
export function ackBody({ mirror, strayOutcomes }: LocalState): AckRequest | null {
  const { scopes, outbox } = mirror;
  const cursors = firstOf(scopes.unacked, LIMITS.scopesPerPull).flatMap((scope) => {
    const { cursor, serverDigest, digest } = scopes.get(scope) ?? freshScope(scope);
    // Behind the head there is nothing to compare it with.
    return cursor === null ? [] : [{ scope, cursor, ...(serverDigest ? { digest } : {}) }];
  });
  const purged = firstOf(scopes.revoked, LIMITS.scopesPerPull);
  const own = firstOf(outbox.unacked(), LIMITS.outcomesPerAck);
  const strays = firstOf(strayOutcomes, LIMITS.outcomesPerAck - own.length);
  const outcomes = [...own.map(({ mutation }) => mutation.mutationId), ...strays];
  if (cursors.length === 0 && purged.length === 0 && outcomes.length === 0) return null;
  return { cursors, outcomes, purged };
}

/** The server has taken the ack. @throws NotLeadingError, StorageError */
export async function storeAck(
  local: LocalState,
  { cursors = [], outcomes = [], purged = [] }: AckRequest,
): Promise<void> {
  const { mirror } = local;
  await local.exclusively(async () => {
    const rows = cursors.flatMap(({ scope, cursor }) => {
      const row = mirror.scopes.get(scope);
      return row?.cursor === cursor ? [{ ...row, ackedCursor: cursor }] : [];
    });
    const entries = outcomes.flatMap((mutationId) => {
      const entry = mirror.outbox.of(mutationId);
      return entry ? [{ ...entry, isAcked: true }] : [];
    });
    await local.commitAsLeader({
      puts: [...rows.map(scopePut), ...entries.filter((entry) => !isDone(entry)).map(entryPut)],
      deletes: [
        ...purged.map((scope) => ({ table: 'scope', key: scopeKey(scope) }) as const),
        ...entries.filter(isDone).map(entryAddress),
      ],
    });
    for (const row of rows) mirror.scopes.set(row.scope, row);
    for (const scope of purged) mirror.scopes.delete(scope);
    for (const entry of entries) mirror.setEntry(entry);
    for (const mutationId of outcomes) local.strayOutcomes.delete(mutationId);
  });
  mirror.announce();
}

function firstOf<T>(items: Iterable<T>, most: number): T[] {
  const found: T[] = [];
  for (const item of items) {
    if (found.length >= most) break;
    found.push(item);
  }
  return found;
}
