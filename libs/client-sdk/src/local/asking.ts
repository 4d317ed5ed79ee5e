import type { PullRequest } from '@sync/protocol';
import { LIMITS } from '@sync/protocol/device';
import type { ScopeRow } from '../replica/rows.ts';
import type { ScopeTable } from './scope-table.ts';

const RESYNC_PAUSE_MS = 30_000;

/** Which scopes the next pull asks for, and which of them may begin anew. */
export class Asking {
  readonly #scopes: ScopeTable;
  /** When a scope was begun anew because somebody had said so, by the device's clock. */
  readonly #resyncs = new Map<string, number>();
  /** Scopes with something new, as far as anybody has said so. */
  readonly #toAsk = new Set<string>();
  #nextScope = 0;

  constructor(scopes: ScopeTable) {
    this.#scopes = scopes;
  }

  /** Something new can be pulled in these: the next pulls ask for them first. */
  askSoon(scopes: Iterable<string>): void {
    // One that is not held yet comes with the answer to any pull (PULL-22).
    for (const scope of scopes) if (this.#scopes.has(scope)) this.#toAsk.add(scope);
  }

  /** Whether everything that was to be asked for has been. */
  get hasAsked(): boolean {
    return !this.isBehind && !this.#held().some(({ scope }) => this.#toAsk.has(scope));
  }

  /** Whether a scope was never asked for, or has more to come, as the server has said. */
  get isBehind(): boolean {
    return this.#held().some(({ serverDigest }) => serverDigest === null);
  }

  /** How many pulls it takes to ask for every scope once. */
  get pullsForAll(): number {
    return Math.max(1, Math.ceil(this.#held().length / LIMITS.scopesPerPull));
  }

  /**
   * The scopes of the next pull: those that are to be asked for soon. Where there are none, or a scope has
   * more to come, it is all of them in turn, that scope first. Undefined, for all that there are, while
   * nothing was ever pulled: a device that has lost its store was served them before, so that no pull would
   * name them to it (PULL-22).
   */
  nextScopes(): PullRequest['scopes'] | undefined {
    const held = this.#held();
    if (held.every(({ cursor }) => cursor === null)) return undefined;
    const behind = held.filter(({ serverDigest }) => serverDigest === null);
    const soon = held.filter(({ scope, serverDigest }) => serverDigest !== null && this.#toAsk.has(scope));
    const others = behind.length > 0 || soon.length === 0 ? this.#inTurn(held) : [];
    const asked = [...new Set([...behind, ...soon, ...others])].slice(0, LIMITS.scopesPerPull);
    for (const { scope } of asked) this.#toAsk.delete(scope);
    return asked.map(({ scope, cursor }) => ({ scope, cursor }));
  }

  #held(): ScopeRow[] {
    return [...this.#scopes.values()].filter(({ isRevoked }) => !isRevoked);
  }

  #inTurn(held: readonly ScopeRow[]): ScopeRow[] {
    const turn = held.length > LIMITS.scopesPerPull ? this.#nextScope % held.length : 0;
    this.#nextScope = turn + LIMITS.scopesPerPull;
    return [...held.slice(turn), ...held.slice(0, turn)];
  }

  /**
   * Whether a scope may begin anew that was told to. What differs still after that is not repaired by doing
   * it for ever: the server backs off (ACK-3), and so does the device where it does not.
   */
  mayResync(scope: string, nowMs: number): boolean {
    const lastMs = this.#resyncs.get(scope);
    if (lastMs !== undefined && Math.abs(nowMs - lastMs) < RESYNC_PAUSE_MS) return false;
    this.#resyncs.set(scope, nowMs);
    return true;
  }
}
