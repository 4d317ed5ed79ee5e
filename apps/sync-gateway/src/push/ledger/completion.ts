import type { Outcome } from '@sync/protocol';
import { outcomeText } from '../outcome/outcome-text.ts';
import type { Author, Settlement } from '../outcome/settlement.ts';
import type { EntityAddress } from '../../read-model/entity-address.ts';
import type { Refusal } from '../prepare/prepare-mutation.ts';
import type { CompletionEvents } from './completion-events.ts';
import { type ShownState, showsLarge, shownStates } from './shown-entities.ts';

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

/**
 * How a mutation that matches no schema ends as soon as its entity can be shown; stored in place of a
 * decision.
 */
export interface KeptRefusal {
  readonly refusal: Refusal;
  readonly address: EntityAddress;
}

/** An element of `more` in push-complete.sql, without its place; what is undefined is not said. */
interface More {
  readonly delayMs?: number | undefined;
  readonly mayBeSent?: boolean;
  readonly error?: string;
  readonly counter?: number | undefined;
  /** Its outcome has its entity beside it. */
  readonly shows?: true | undefined;
  /** `KeptRefusal` as JSON text. */
  readonly refusal?: string | undefined;
}

/** One mutation as it is stored. */
export interface CompletionItem {
  readonly id: string;
  readonly attempt: number | null;
  readonly status: Outcome['status'];
  /** Of the entity after what was applied or merged. */
  readonly revision: number | null;
  /** The wire text of its outcome, without `current` where that is in `shown`; empty while it has none. */
  readonly outcome: string;
  readonly more: More;
}

/** A push, or a run of the dispatcher over one device, with what came of it. */
export interface Completion {
  readonly author: Author;
  readonly items: readonly CompletionItem[];
  readonly events: CompletionEvents;
  /** Large entities that outcomes show, once each, by `addressKey`. */
  readonly shown: ReadonlyMap<string, ShownState>;
}

/** How the outcomes of one device are stored. */
export function completionOf(
  author: Author,
  completed: readonly Completed[],
  events: CompletionEvents,
): Completion {
  return { author, items: completed.map(itemOf), events, shown: shownStates(completed) };
}

/** `accepted` while it has no end. */
export function statusOf({ settlement }: Completed): Outcome['status'] {
  return settlement.kind === 'postponed' ? 'accepted' : settlement.status;
}

function itemOf(completed: Completed): CompletionItem {
  const { mutationId: id, address, attempt, settlement, delayMs } = completed;
  const counter = completed.counter ?? undefined;
  const item = { id, attempt, status: statusOf(completed) };
  if (settlement.kind === 'postponed') {
    const { mayBeSent, reason: error, refusal } = settlement;
    const kept = refusal && address ? ({ refusal, address } satisfies KeptRefusal) : undefined;
    const more = { delayMs, mayBeSent, error, counter, refusal: kept && JSON.stringify(kept) };
    return { ...item, revision: null, outcome: '', more };
  }
  const { revision = null, current } = settlement;
  const isLarge = showsLarge(completed);
  const outcome = outcomeText(id, settlement, isLarge ? null : current);
  // Of what was applied the entity's clock tells which change it is.
  const more = { counter: revision === null ? counter : undefined, shows: isLarge || undefined };
  return { ...item, revision, outcome, more };
}
