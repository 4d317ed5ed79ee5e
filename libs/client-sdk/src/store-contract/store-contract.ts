import type { Store } from '../storage/store.ts';
import { COUNTER_CHECKS } from './counters.ts';
import { FAILURE_CHECKS } from './failures.ts';
import { HISTORY_CHECKS } from './histories.ts';
import { LIMIT_CHECKS } from './limits.ts';
import { ROW_CHECKS } from './rows.ts';

/**
 * Where an adapter keeps its data in a test: a file, a database of the browser, a piece of memory. It is empty
 * at first, and whoever made it clears it away after the check.
 */
export interface StorePlace {
  /** One more handle on the same data, as another tab has, or the same app after its restart. */
  open(): Promise<Store>;
  /** As if the process of this handle died between two effects: it is not closed, and never asked again. */
  kill(store: Store): Promise<void>;
  /** Whether several handles may be open at once, as in tabs; else a check has one at a time. */
  readonly isForMany: boolean;
  /** How many random histories are tried: as many as take a second or two; 200 in memory, 20 on a disk. */
  readonly histories: number;
}

/** One law of the port. Plain code, so that it runs under any test runner and in browsers. */
export interface StoreCheck {
  readonly name: string;
  /** @throws Error that says what the store did in place of what it should have done */
  readonly run: (place: StorePlace) => Promise<void>;
}

/** What every adapter of `Store` keeps. Each check wants a place of its own. */
export const STORE_CONTRACT: readonly StoreCheck[] = [
  ...ROW_CHECKS,
  ...LIMIT_CHECKS,
  ...COUNTER_CHECKS,
  ...FAILURE_CHECKS,
  ...HISTORY_CHECKS,
];
