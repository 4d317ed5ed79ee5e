import { deepEqualJson } from '@sync/domain';
import type { JsonValue } from '@sync/domain';
import type { RemoteDelta } from '@sync/protocol';
import { type OutboxEntry, isDone } from '../outbox/entry.ts';
import type { EntityData } from '../outbox/show-entity.ts';
import { newestOfAll } from '../replica/clocks.ts';
import type { EntityRow } from '../replica/rows.ts';
import type { AppVersions } from '../schema/app-versions.ts';
import { Listeners } from './listeners.ts';
import { OutboxIndex, type Place, placeKey } from './outbox-index.ts';
import { Overlay } from './overlay.ts';
import { ScopeTable } from './scope-table.ts';

/** An entity as the app sees it. The same object for as long as nothing in it changes. */
export interface Entity<Data = EntityData> {
  readonly id: string;
  readonly scope: string;
  readonly data: Data;
  /** A change of this device is in it that no pull has confirmed yet. */
  readonly isPending: boolean;
}

/** What changed in the mirror, for those who listen. */
export interface Changes {
  /** By entity type: which ones. */
  readonly entities: ReadonlyMap<string, ReadonlySet<string>>;
  /** A mutation has moved on. */
  readonly hasMoved: boolean;
  /** There are others of which the app is told. */
  readonly hasOutcomes: boolean;
}

/** Somebody who is told of one thing alone. */
interface Watched {
  readonly listeners: Listeners<void>;
}

/** A mutation as it is by now. */
export class Followed implements Watched {
  last: OutboxEntry;
  /** Told when it has moved on: they alone, for thousands may wait for as many. */
  readonly listeners = new Listeners<void>();

  constructor(last: OutboxEntry) {
    this.last = last;
  }
}

const NO_ROWS: readonly EntityRow[] = [];

/** Mutations that have left the outbox and can still be followed. */
const FINISHED_KEPT = 1_000;

/**
 * What is stored, in memory, as far as the app has asked for it: all scopes and the whole outbox, and the
 * entities of those types that were loaded. It changes after the store has, except for writes, which are seen
 * at once and taken back when they cannot be stored.
 */
export class Mirror {
  readonly scopes = new ScopeTable();
  readonly outbox = new OutboxIndex();
  readonly #overlay: Overlay;
  readonly #finished = new Map<string, OutboxEntry>();
  /** By mutation, until it leaves the outbox. */
  readonly #followed = new Map<string, Followed>();
  /** By entity type and id: one row of each scope. */
  readonly #rows = new Map<string, Map<string, EntityRow[]>>();
  readonly #shown = new Map<string, Map<string, Entity>>();
  /** By {@link placeKey}: told when anything of the entity was stored, whether it looks different or not. */
  readonly watched = new Map<string, Watched>();
  readonly #listeners = new Listeners<Changes>();
  readonly #touched = new Map<string, Set<string>>();
  /** Looks different, and nobody was told yet. */
  #changed = new Map<string, Set<string>>();
  #hasMoved = false;
  readonly #movedOn = new Set<Watched>();
  #hasOutcomes = false;

  constructor(versions: AppVersions) {
    this.#overlay = new Overlay(this.outbox, versions);
  }

  /** @returns stops it */
  listen(listener: (changes: Changes) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Tells nobody any more: a client that was closed shows nothing. */
  silence(): void {
    this.#listeners.clear();
  }

  /** Forgets everything but what the app has asked for. @returns the outbox as it was */
  empty(): OutboxEntry[] {
    const entries = [...this.outbox.all()];
    this.outcomesChanged();
    this.scopes.clear();
    this.outbox.clear();
    this.#overlay.clear();
    for (const [entityType, ofType] of this.#rows) {
      for (const entityId of ofType.keys()) this.#touch({ entityType, entityId });
      ofType.clear();
    }
    for (const { mutation } of entries) this.#touch(mutation);
    return entries;
  }

  get loadedTypes(): string[] {
    return [...this.#rows.keys()];
  }

  isLoaded(entityType: string): boolean {
    return this.#rows.has(entityType);
  }

  load(entityType: string, rows: readonly EntityRow[]): void {
    this.#rows.set(entityType, new Map());
    this.#shown.set(entityType, new Map());
    for (const row of rows) this.setRow(row);
    for (const { mutation } of this.outbox.all()) {
      if (mutation.entityType === entityType) this.#touch(mutation);
    }
  }

  /** Of a type that was loaded. */
  rowsOf(entityType: string, entityId: string): readonly EntityRow[] {
    return this.#rows.get(entityType)?.get(entityId) ?? NO_ROWS;
  }

  rowIn(scope: string, { entityType, entityId }: Place): EntityRow | undefined {
    return this.rowsOf(entityType, entityId).find((row) => row.scope === scope);
  }

  setRow(row: EntityRow): void {
    const ofType = this.#rows.get(row.entityType);
    if (!ofType) return;
    const rows = ofType.get(row.entityId);
    const at = rows?.findIndex(({ scope }) => scope === row.scope) ?? -1;
    if (!rows) ofType.set(row.entityId, [row]);
    else rows[at < 0 ? rows.length : at] = row;
    this.#touch(row);
  }

  /** Forgets rows of a scope. @param isGone which ones */
  dropRows(scope: string, isGone: (row: EntityRow) => boolean): void {
    for (const ofType of this.#rows.values()) {
      for (const [entityId, rows] of ofType) {
        const row = rows.find((each) => each.scope === scope);
        if (!row || !isGone(row)) continue;
        if (rows.length === 1) ofType.delete(entityId);
        else
          ofType.set(
            entityId,
            rows.filter((each) => each !== row),
          );
        this.#touch(row);
      }
    }
  }

  /** Whether it has left the outbox since the app started, as far as that is still known. */
  hasFinished(mutationId: string): boolean {
    return this.#finished.has(mutationId);
  }

  /** @returns what is known of the mutation, then and later, also when it has left the outbox */
  follow(entry: OutboxEntry): Followed {
    const { mutationId } = entry.mutation;
    const known = this.#followed.get(mutationId);
    if (known) return known;
    const last = this.outbox.of(mutationId) ?? this.#finished.get(mutationId) ?? entry;
    const followed = new Followed(last);
    if (!isDone(followed.last)) this.#followed.set(mutationId, followed);
    return followed;
  }

  /**
   * Adds an entry behind all others, or replaces it; one that is done is forgotten.
   * @param draft what it was before it was stored
   */
  setEntry(entry: OutboxEntry, draft?: OutboxEntry): void {
    const { mutation } = entry;
    const { mutationId } = mutation;
    this.#overlay.changed(entry, this.outbox.set(entry), draft);
    const followed = this.#followed.get(mutationId);
    if (followed) {
      followed.last = entry;
      this.#movedOn.add(followed);
    }
    if (isDone(entry)) {
      this.#followed.delete(mutationId);
      this.#finished.set(mutationId, entry);
      const [oldest] = this.#finished.keys();
      if (this.#finished.size > FINISHED_KEPT && oldest !== undefined) this.#finished.delete(oldest);
    }
    this.#hasMoved = true;
    this.#touch(mutation);
  }

  /** Shows a write before it is stored. It ends with `setEntry`, or with `removeDraft`. */
  addDraft(draft: OutboxEntry): void {
    this.#overlay.addDraft(draft);
    this.#touch(draft.mutation);
  }

  /** Takes back what could not be stored. */
  removeDraft(draft: OutboxEntry): void {
    this.#overlay.removeDraft(draft);
    this.#touch(draft.mutation);
  }

  /** The newest state from the server, as far as it is known. */
  stateOf({ entityType, entityId }: Place): RemoteDelta | null {
    return newestOfAll(this.rowsOf(entityType, entityId))?.state ?? null;
  }

  get(entityType: string, entityId: string): Entity | null {
    this.#refresh();
    return this.#shown.get(entityType)?.get(entityId) ?? null;
  }

  /** In no particular order. */
  list(entityType: string): Entity[] {
    this.#refresh();
    return [...(this.#shown.get(entityType)?.values() ?? [])];
  }

  /** What is stored of outcomes for the app has changed. */
  outcomesChanged(): void {
    this.#hasOutcomes = true;
  }

  /** Tells those who listen what has changed since it last did. */
  announce(): void {
    this.#refresh();
    // Whoever waits for something to be pulled learns that it did not come.
    if (this.scopes.hasSettled) for (const watched of this.watched.values()) this.#movedOn.add(watched);
    this.scopes.hasSettled = false;
    const changes = {
      entities: this.#changed,
      hasMoved: this.#hasMoved,
      hasOutcomes: this.#hasOutcomes,
    };
    const movedOn = [...this.#movedOn];
    if (movedOn.length + changes.entities.size === 0 && !changes.hasMoved && !changes.hasOutcomes) return;
    this.#changed = new Map();
    this.#hasMoved = false;
    this.#hasOutcomes = false;
    this.#movedOn.clear();
    this.#listeners.tell(changes);
    for (const { listeners } of movedOn) listeners.tell();
  }

  #touch(place: Place): void {
    const { entityType, entityId } = place;
    if (!this.#rows.has(entityType)) return;
    const watched = this.watched.size > 0 && this.watched.get(placeKey(place));
    if (watched) this.#movedOn.add(watched);
    const ids = this.#touched.get(entityType);
    if (ids) ids.add(entityId);
    else this.#touched.set(entityType, new Set([entityId]));
  }

  /** Brings up to date what is seen of everything that was touched. */
  #refresh(): void {
    for (const [entityType, ids] of this.#touched) {
      const shown = this.#shown.get(entityType);
      if (!shown) continue;
      for (const entityId of ids) {
        const before = shown.get(entityId) ?? null;
        const after = this.#look({ entityType, entityId });
        if (sameEntity(before, after)) ids.delete(entityId);
        else if (after) shown.set(entityId, after);
        else shown.delete(entityId);
      }
      if (ids.size === 0) continue;
      const changed = this.#changed.get(entityType);
      if (!changed) this.#changed.set(entityType, ids);
      else for (const entityId of ids) changed.add(entityId);
    }
    this.#touched.clear();
  }

  #look(place: Place): Entity | null {
    const newest = newestOfAll(this.rowsOf(place.entityType, place.entityId));
    const { data, scope, isPending } = this.#overlay.over(place, newest?.state ?? null);
    return data && { id: place.entityId, scope: scope ?? newest?.row.scope ?? '', data, isPending };
  }
}

function sameEntity(one: Entity | null, other: Entity | null): boolean {
  if (!one || !other) return one === other;
  return (
    one.scope === other.scope &&
    one.isPending === other.isPending &&
    deepEqualJson(one.data as JsonValue, other.data as JsonValue)
  );
}
