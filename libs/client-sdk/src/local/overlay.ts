import type { RemoteDelta } from '@sync/protocol';
import { type OutboxEntry, isDone, isShown } from '../outbox/entry.ts';
import { type EntityData, applyMutation } from '../outbox/show-entity.ts';
import type { AppVersions } from '../schema/app-versions.ts';
import { type OutboxIndex, type Place, placeKey } from './outbox-index.ts';

/** What the device's own changes make of an entity. */
interface Folded {
  /** What they were made over. */
  readonly state: RemoteDelta | null;
  readonly data: EntityData | null;
  /** Of the last change; null where there is none. */
  readonly scope: string | null;
  readonly isPending: boolean;
}

/**
 * The device's own changes over what is known from the server: those of the outbox, and behind them drafts,
 * which are not stored yet. What was made of an entity is kept while it has changes, so that one more costs
 * one step, however many there are.
 */
export class Overlay {
  readonly #outbox: OutboxIndex;
  readonly #versions: AppVersions;
  readonly #drafts = new Map<string, Set<OutboxEntry>>();
  readonly #folded = new Map<string, Folded>();

  constructor(outbox: OutboxIndex, versions: AppVersions) {
    this.#outbox = outbox;
    this.#versions = versions;
  }

  addDraft(draft: OutboxEntry): void {
    const key = placeKey(draft.mutation);
    this.#drafts.set(key, (this.#drafts.get(key) ?? new Set()).add(draft));
    this.#append(key, draft);
  }

  removeDraft(draft: OutboxEntry): void {
    const key = placeKey(draft.mutation);
    this.#folded.delete(key);
    this.#takeDraft(key, draft);
  }

  /**
   * An entry has changed, or come.
   * @param before as it was
   * @param draft what it was before it was stored
   */
  changed(entry: OutboxEntry, before: OutboxEntry | undefined, draft?: OutboxEntry): void {
    const key = placeKey(entry.mutation);
    const [first] = this.#drafts.get(key) ?? [];
    if (before || isDone(entry)) {
      if (isDone(entry) || !before || isShown(before) !== isShown(entry)) this.#folded.delete(key);
    } else if (!first) this.#append(key, entry);
    // It stays where it was: behind all that is stored, and before all other drafts.
    else if (first !== draft) this.#folded.delete(key);
    if (draft) this.#takeDraft(key, draft);
  }

  /** @param state the newest that is known from the server; null when nothing is */
  over(place: Place, state: RemoteDelta | null): Folded {
    let folded: Folded = { state, data: this.#versions.dataOf(state), scope: null, isPending: false };
    if (this.#drafts.size === 0 && this.#outbox.size === 0) return folded;
    const key = placeKey(place);
    const known = this.#folded.get(key);
    if (known?.state === state) return known;
    for (const entry of this.#outbox.ofPlace(place)) folded = this.#withChange(folded, entry);
    for (const draft of this.#drafts.get(key) ?? []) folded = this.#withChange(folded, draft);
    if (folded.scope !== null) this.#folded.set(key, folded);
    return folded;
  }

  /** Forgets what is stored; drafts are not. */
  clear(): void {
    this.#folded.clear();
  }

  #append(key: string, entry: OutboxEntry): void {
    const known = this.#folded.get(key);
    if (known) this.#folded.set(key, this.#withChange(known, entry));
  }

  #takeDraft(key: string, draft: OutboxEntry): void {
    const left = this.#drafts.get(key);
    left?.delete(draft);
    if (left?.size === 0) this.#drafts.delete(key);
  }

  #withChange(before: Folded, entry: OutboxEntry): Folded {
    const { scope } = entry.mutation;
    if (!isShown(entry)) return { ...before, scope };
    const data = applyMutation(before.data, this.#versions.mutation(entry.mutation));
    return { state: before.state, data, scope, isPending: true };
  }
}
