import type { Outcome } from '@sync/protocol';
import type { LocalState } from '../local/local-state.ts';
import type { Followed } from '../local/mirror.ts';
import { type OutboxEntry, isTerminal } from '../outbox/entry.ts';
import { SyncError } from '../sync-error.ts';

/**
 * How far a write has come.
 *
 * | tier       |                                                                       |
 * | ---------- | --------------------------------------------------------------------- |
 * | `stored`   | it is on this device, and survives a crash of the app                 |
 * | `accepted` | the server has it, and will not lose it                               |
 * | `applied`  | its owning service has applied it, as it is or merged with others     |
 * | `seen`     | this device has pulled it: every device of the scope can have it now  |
 */
export type Tier = 'stored' | 'accepted' | 'applied' | 'seen';

/** How a write stands. The same object until something in it changes. */
export interface WriteState {
  /** How far it has come; one that has failed comes no further. */
  readonly tier: Tier;
  /** It was refused, lost, or waits for a person: `outcome` says which. */
  readonly hasFailed: boolean;
  /** What the server has said of it last; null before it said anything. */
  readonly outcome: Outcome | null;
}

/** A write that is stored on this device. */
export class Write {
  readonly mutationId: string;
  readonly entityId: string;
  readonly #local: LocalState;
  readonly #followed: Followed;
  #state: WriteState | null = null;

  constructor(local: LocalState, entry: OutboxEntry) {
    this.#local = local;
    this.#followed = local.mirror.follow(entry);
    this.mutationId = entry.mutation.mutationId;
    this.entityId = entry.mutation.entityId;
  }

  /** What the server has said of it last; null before it said anything. */
  get outcome(): Outcome | null {
    return this.#followed.last.outcome;
  }

  get state(): WriteState {
    const entry = this.#followed.last;
    const hasFailed = isLost(entry);
    const reached = hasFailed ? TIERS_OF_LOST : TIERS;
    const tier = reached.find((each) => hasReached(entry, each)) ?? 'stored';
    const { outcome } = entry;
    const before = this.#state;
    if (before?.tier === tier && before.hasFailed === hasFailed && before.outcome === outcome) return before;
    this.#state = { tier, hasFailed, outcome };
    return this.#state;
  }

  /** Calls `listener` when the state may have changed. @returns stops it */
  subscribe(listener: () => void): () => void {
    return this.#followed.listeners.add(listener);
  }

  /**
   * Waits until it has come so far: for ever, where the device stays offline.
   * @returns the outcome; null for `stored`
   * @throws SyncError `not_applied` for `applied` and `seen`, where it lost, was refused or waits for a
   * person
   * @throws SyncError `closed` when the client is closed before
   * @throws the signal's reason
   */
  async wait(tier: Tier, options: { readonly signal?: AbortSignal } = {}): Promise<Outcome | null> {
    options.signal?.throwIfAborted();
    for (;;) {
      const entry = this.#followed.last;
      if (isLost(entry) && (tier === 'applied' || tier === 'seen')) throw notApplied(entry);
      if (hasReached(entry, tier)) return entry.outcome;
      this.#local.assertOpen();
      await this.#nextMove(options.signal);
      options.signal?.throwIfAborted();
    }
  }

  /** Ends with whatever comes first: a move of it, the signal, or the end of the client. */
  #nextMove(signal: AbortSignal | undefined): Promise<void> {
    const { closing } = this.#local;
    return new Promise((resolve) => {
      const end = (): void => {
        stop();
        signal?.removeEventListener('abort', end);
        stopClosing();
        resolve();
      };
      const stop = this.subscribe(end);
      const stopClosing = closing.add(end);
      signal?.addEventListener('abort', end, { once: true });
    });
  }
}

/** The furthest first. */
const TIERS: readonly Tier[] = ['seen', 'applied', 'accepted'];
const TIERS_OF_LOST: readonly Tier[] = ['accepted'];

function hasReached(entry: OutboxEntry, tier: Tier): boolean {
  switch (tier) {
    case 'stored':
      return true;
    case 'accepted':
      return entry.state !== 'queued';
    case 'applied':
      return isTerminal(entry);
    case 'seen':
      // What came of a merged one has come with its outcome.
      return isTerminal(entry) && (entry.isContained || entry.state === 'settled');
  }
}

function isLost({ state, outcome }: OutboxEntry): boolean {
  return state === 'settled' && outcome?.status !== 'merged';
}

function notApplied({ outcome, mutation }: OutboxEntry): SyncError {
  const why = outcome?.code ?? outcome?.status ?? 'unknown';
  const message = outcome?.message ? `${why}: ${outcome.message}` : why;
  return new SyncError(
    'not_applied',
    `${mutation.op} of ${mutation.entityType} ${mutation.entityId}: ${message}`,
    {
      outcome,
    },
  );
}
