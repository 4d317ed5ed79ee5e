import type { Store } from '../storage/store.ts';
import { COUNTER_CHECKS } from './store-checks/counters.ts';
import { FAILURE_CHECKS } from './store-checks/failures.ts';
import { HISTORY_CHECKS } from './store-checks/histories.ts';
import { LIMIT_CHECKS } from './store-checks/limits.ts';
import { ROW_CHECKS } from './store-checks/rows.ts';

/**
 * Where an adapter keeps its data in a test: a file, a database of the browser, a piece of memory. Empty at
 * first.
 */
export interface StorePlace {
  /** One more handle on the same data, as another tab has, or the same app after its restart. */
  open(): Promise<Store>;
  /** As if the process of this handle died between two effects: it is not closed, and never asked again. */
  kill(store: Store): Promise<void>;
  /** Several handles may be open at once. */
  readonly isForMany: boolean;
  /** How many random histories are tried: as many as take a second or two. */
  readonly histories: number;
}

/**
 * One law of the port. Plain code, because it runs in Jest as well as in browsers.
 *
 * @throws when the store breaks it
 */
export interface StoreCheck {
  readonly name: string;
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
