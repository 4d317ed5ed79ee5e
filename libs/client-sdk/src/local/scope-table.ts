import { sameDigest } from '../replica/digest.ts';
import type { ScopeRow } from '../replica/rows.ts';

/** All scopes in memory, with an index for each question that is asked at every turn. */
export class ScopeTable extends Map<string, ScopeRow> {
  /** Scopes whose cursor the server does not know of yet. */
  readonly unacked = new Set<string>();
  /** Scopes that were taken away, and whose receipt the server has not got yet. */
  readonly revoked = new Set<string>();
  /** Scopes whose content is not what the server has, as of the same cursor. */
  readonly differing = new Set<string>();
  /** Counts changes of any row. */
  version = 0;
  /** A scope has everything for the first time, or was taken away: until `Mirror.announce` has told it. */
  hasSettled = false;

  override set(scope: string, row: ScopeRow): this {
    const { isRevoked, cursor, ackedCursor, digest, serverDigest } = row;
    this.version += 1;
    if ((row.syncedAt ?? isRevoked) && !this.get(scope)?.syncedAt) this.hasSettled = true;
    keep(this.unacked, scope, !isRevoked && cursor !== null && cursor !== ackedCursor);
    keep(this.revoked, scope, isRevoked);
    keep(this.differing, scope, serverDigest !== null && !sameDigest(digest, serverDigest));
    return super.set(scope, row);
  }

  override delete(scope: string): boolean {
    this.version += 1;
    for (const index of [this.unacked, this.revoked, this.differing]) index.delete(scope);
    return super.delete(scope);
  }

  override clear(): void {
    this.version += 1;
    for (const index of [this.unacked, this.revoked, this.differing]) index.clear();
    super.clear();
  }
}

function keep(index: Set<string>, scope: string, isIn: boolean): void {
  if (isIn) index.add(scope);
  else index.delete(scope);
}
