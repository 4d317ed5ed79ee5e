import { deepEqualJson } from '@sync/domain';
import type { JsonValue } from '@sync/domain';
import { useSyncExternalStore } from 'react';

/** What was read, and whether it was. The same object until something in it changes, and so is each item. */
export interface Listed<T> {
  readonly state: 'loading' | 'ready' | 'failed';
  /** With `failed`, what was read before. */
  readonly items: readonly T[];
  /** Why it could not be read. */
  readonly error: unknown;
}

export interface ListSource<T> {
  readonly read: () => Promise<readonly T[]>;
  /** Calls when `read` may have another answer. @returns stops it */
  readonly listen: (listener: () => void) => () => void;
}

const LOADING: Listed<never> = { state: 'loading', items: [], error: null };

/** A list that has to be waited for, as React wants to read it: at once, and the same until it changes. */
export class LiveList<T extends object> {
  readonly #source: ListSource<T>;
  readonly #listeners = new Set<() => void>();
  #snapshot: Listed<T> = LOADING;
  #stop: () => void = nothing;
  /** Only the last of the reads that are under way counts. */
  #reads = 0;

  constructor(source: ListSource<T>) {
    this.#source = source;
  }

  readonly snapshot = (): Listed<T> => this.#snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#stop = this.#source.listen(this.refresh);
      this.refresh();
    }
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop();
    };
  };

  /** Reads it anew. */
  readonly refresh = (): void => {
    this.#reads += 1;
    const read = this.#reads;
    const settle = (after: Listed<T>): void => {
      if (read === this.#reads) this.#set(after);
    };
    this.#source.read().then(
      (items) => settle({ state: 'ready', items: keepSame(this.#snapshot.items, items), error: null }),
      (error: unknown) => settle({ state: 'failed', items: this.#snapshot.items, error }),
    );
  };

  #set(after: Listed<T>): void {
    const before = this.#snapshot;
    const isSame =
      before.items.length === after.items.length &&
      after.items.every((each, at) => each === before.items[at]);
    if (isSame && before.state === after.state && before.error === after.error) return;
    this.#snapshot = after;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Each item as it was where it is the same. */
function keepSame<T extends object>(before: readonly T[], after: readonly T[]): T[] {
  return after.map(
    (item) => before.find((each) => each === item) ?? before.find((each) => isSameJson(each, item)) ?? item,
  );
}

function isSameJson(one: object, other: object): boolean {
  return deepEqualJson(one as JsonValue, other as JsonValue);
}

/** @param list null where there is nothing to read it from */
export function useLiveList<T extends object>(list: LiveList<T> | null): Listed<T> {
  return useSyncExternalStore(list?.subscribe ?? listenToNothing, list?.snapshot ?? isLoading, isLoading);
}

export const nothing = (): void => undefined;
const listenToNothing = () => nothing;
const isLoading = () => LOADING;

/** One list for each owner, for as long as that lives. */
export function listOf<Owner extends object, T extends object>(
  lists: WeakMap<Owner, LiveList<T>>,
  owner: Owner,
  source: ListSource<T>,
): LiveList<T> {
  const list = lists.get(owner) ?? new LiveList(source);
  lists.set(owner, list);
  return list;
}
