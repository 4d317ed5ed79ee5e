import { outcomeText } from '../outcome/outcome-text.ts';
import type { Settlement } from '../outcome/settlement.ts';
import type { EntityAddress } from '../../read-model/entity-address.ts';
import type { Refusal } from '../prepare/prepare-mutation.ts';
import { type ShownState, showsLarge, shownStates } from './shown-entities.ts';

/** One element of `push_complete`'s p_items; see push-complete.sql. */
export interface CompletionItem {
  readonly id: string;
  readonly attempt: number | null;
  readonly status: string;
  readonly delayMs?: number;
  readonly mayBeSent?: boolean;
  readonly error?: string;
  readonly revision?: number;
  readonly counter?: number;
  /** Its outcome has its entity beside it. */
  readonly shows?: true;
  /** `KeptRefusal` as JSON text. */
  readonly refusal?: string;
}

/**
 * How a mutation that matches no schema ends as soon as its entity can be shown; stored in place of a
 * decision.
 */
export interface KeptRefusal {
  readonly refusal: Refusal;
  readonly address: EntityAddress;
}

/** What a settlement belongs to. */
export interface Completed {
  readonly mutationId: string;
  /** null when it matches no schema and names no entity. */
  readonly address: EntityAddress | null;
  /** Which change of its device it is, by its own clock; null when that matches no schema. */
  readonly counter: number | null;
  /** The attempt that may write the outcome; null: whichever. */
  readonly attempt: number | null;
  /** It has not been announced as accepted before. */
  readonly fresh: boolean;
  /** Until the next attempt, when it is postponed; absent: as planned before. */
  readonly delayMs?: number;
  readonly settlement: Settlement;
}

/** Everything `push_complete` needs. */
export interface Completion {
  /** What its sync events tell of. */
  readonly completed: readonly Completed[];
  readonly items: readonly CompletionItem[];
  /**
   * One per item: the wire text of its outcome, without `current` where that is in `shown`; empty while it
   * has none.
   */
  readonly outcomes: readonly string[];
  /** Large entities that outcomes show, once each. */
  readonly shown: readonly ShownState[];
}

/** How the outcomes of one device are stored. */
export function completionOf(completed: readonly Completed[]): Completion {
  return {
    completed,
    items: completed.map(itemOf),
    outcomes: completed.map((one) => {
      const { mutationId, settlement } = one;
      if (settlement.kind === 'postponed') return '';
      return outcomeText(mutationId, settlement, showsLarge(one) ? null : settlement.current);
    }),
    shown: [...shownStates(completed).values()],
  };
}

function itemOf(completed: Completed): CompletionItem {
  const { mutationId, address, counter, attempt, settlement, delayMs } = completed;
  const revision = settlement.kind === 'settled' ? settlement.revision : undefined;
  // Of what was applied the entity's clock tells.
  const counted = revision === undefined ? { ...(counter !== null && { counter }) } : { revision };
  const base = { id: mutationId, attempt, ...counted };
  if (settlement.kind === 'postponed') {
    return {
      ...base,
      status: 'accepted',
      mayBeSent: settlement.mayBeSent,
      error: settlement.reason,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(settlement.refusal && address
        ? { refusal: JSON.stringify({ refusal: settlement.refusal, address } satisfies KeptRefusal) }
        : {}),
    };
  }
  return { ...base, status: settlement.status, ...(showsLarge(completed) && { shows: true }) };
}
