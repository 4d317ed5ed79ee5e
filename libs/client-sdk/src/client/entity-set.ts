import { readJson } from '@sync/domain';
import type { LocalState } from '../local/local-state.ts';
import type { Entity, Mirror } from '../local/mirror.ts';
import type { DocumentBase, WriteQueue } from '../local/write-queue.ts';
import { type Draft, faultOf } from '../outbox/make-mutation.ts';
import type { EntityData } from '../outbox/show-entity.ts';
import type { EntityType } from './entity-type.ts';
import { SyncError } from '../sync-error.ts';
import { Write } from './write.ts';

export interface Stamp {
  /** A UUID. */
  readonly mutationId: string;
  /** The time by the device's clock, RFC 3339. */
  readonly occurredAt: string;
}

export interface EntitySetParts {
  readonly local: LocalState;
  readonly writes: WriteQueue;
  /** What is new with every write. */
  readonly stamp: () => Stamp;
  readonly onWrite: () => void;
}

/** What a write may say besides its data. */
export interface WriteOptions {
  /** Of a new entity; that of its type where nothing is said. One that exists stays in its own. */
  readonly scope?: string;
  /** Writes without which this one makes no sense: it is refused when one of them is. */
  readonly dependsOn?: readonly Write[];
}

/** The entities of one type, as this device has them. Every call throws `closed` after the client's end. */
export class EntitySet<Data extends object> {
  readonly entityType: string;
  /** For `@sync/client/yjs`. @internal */
  readonly parts: EntitySetParts;
  readonly #type: EntityType<Data>;

  constructor(entityType: string, type: EntityType<Data>, parts: EntitySetParts) {
    this.entityType = entityType;
    this.#type = type;
    this.parts = parts;
  }

  /** Reads them into memory, once. Writes wait for it by themselves; `get` and `list` show nothing before. */
  async load(): Promise<this> {
    const { local } = this.parts;
    local.assertOpen();
    // One that is loaded waits for nothing that is being stored.
    if (!local.mirror.isLoaded(this.entityType)) await local.load(this.entityType);
    return this;
  }

  /** @returns the same object until something in it changes; null where there is none, or it is deleted */
  get(entityId: string): Entity<Data> | null {
    return this.#mirror.get(this.entityType, entityId) as Entity<Data> | null;
  }

  /** All of them, or those of a scope, in no particular order. */
  list(options: { readonly scope?: string } = {}): Entity<Data>[] {
    const all = this.#mirror.list(this.entityType) as Entity<Data>[];
    return options.scope === undefined ? all : all.filter(({ scope }) => scope === options.scope);
  }

  /**
   * Calls `listener` after each change with the ids of what looks different now.
   * @returns stops it
   */
  subscribe(listener: (entityIds: ReadonlySet<string>) => void): () => void {
    return this.#mirror.listen(({ entities }) => {
      const changed = entities.get(this.entityType);
      if (changed) listener(changed);
    });
  }

  /**
   * Each change as it comes, for `for await`: the ids of what looks different. Ends with the signal, or with
   * the client.
   */
  async *changes(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ReadonlySet<string>> {
    const { signal } = options;
    const { local } = this.parts;
    let waiting = new Set<string>();
    let wake: () => void = () => undefined;
    const stop = this.subscribe((ids) => {
      for (const id of ids) waiting.add(id);
      wake();
    });
    const end = (): void => wake();
    signal?.addEventListener('abort', end);
    const stopClosing = local.closing.add(end);
    try {
      while (!signal?.aborted && !local.isClosed) {
        if (waiting.size === 0) await new Promise<void>((resolve) => (wake = resolve));
        if (waiting.size === 0) continue;
        const ids = waiting;
        waiting = new Set();
        yield ids;
      }
    } finally {
      stop();
      signal?.removeEventListener('abort', end);
      stopClosing();
    }
  }

  /** Makes the entity, or replaces all of it. */
  async put(entityId: string, data: Data, options: WriteOptions = {}): Promise<Write> {
    const checked = handled(this.#checked(data));
    return this.#write(async () => this.#draft('put', entityId, await checked, options));
  }

  /** Changes the named top-level fields, each as a whole. */
  async patch(entityId: string, fields: Partial<Data>, options: WriteOptions = {}): Promise<Write> {
    const given = asJson(fields);
    return this.#write(async () => {
      const before = known(this, entityId, 'patch');
      await this.#checked({ ...before.data, ...given });
      return this.#draft('patch', entityId, given, options);
    });
  }

  /** Of one that is not there nothing is written: it is answered as an error. */
  async delete(entityId: string, options: WriteOptions = {}): Promise<Write> {
    return this.#write(async () => {
      known(this, entityId, 'delete');
      return this.#draft('delete', entityId, undefined, options);
    });
  }

  /** Adds a record that never changes, under an id of its own unless one is given. */
  async append(data: Data, options: WriteOptions & { readonly id?: string } = {}): Promise<Write> {
    const { id = this.parts.stamp().mutationId, ...rest } = options;
    const checked = handled(this.#checked(data));
    return this.#write(async () => this.#draft('append', id, await checked, rest));
  }

  /**
   * Stores a change of a document, for `@sync/client/yjs`.
   * @param update base64, Yjs update v1; no longer than the protocol allows
   * @param base what it was made on
   * @param awaitedIn asked when its turn has come: its scope, where the store was begun anew and the document
   * has not come again
   * @internal
   */
  merge(
    entityId: string,
    update: string,
    base: DocumentBase,
    awaitedIn: () => Promise<string | null>,
  ): Promise<Write> {
    return this.#write(async () => {
      const scope = (await awaitedIn()) ?? known(this, entityId, 'merge').scope;
      return { ...this.#draft('merge', entityId, undefined, { scope }), update };
    }, base);
  }

  get #mirror(): Mirror {
    const { local } = this.parts;
    local.assertOpen();
    return local.mirror;
  }

  /** @returns it as JSON has it now: what the app does to its own object later is not written */
  async #checked(data: object): Promise<object> {
    const { schema } = this.#type;
    if (!schema) return asJson(data);
    const validating = schema['~standard'].validate(data);
    const result = validating instanceof Promise ? await validating : validating;
    if (!result.issues) return asJson(result.value);
    const faults = result.issues.map(({ message, path }) =>
      path ? `${path.join('.')}: ${message}` : message,
    );
    throw new SyncError('data_invalid', `${this.entityType}: ${faults.join('; ')}`, { cause: result.issues });
  }

  /**
   * Writes are made in the order of their calls, whatever each has to wait for; nobody waits for the one
   * before to be stored.
   */
  async #write(makeDraft: () => Promise<Draft>, base?: DocumentBase): Promise<Write> {
    const { local, writes, onWrite } = this.parts;
    const { storing } = await writes.order.run(async () => {
      await this.load();
      return { storing: handled(writes.write(await makeDraft(), base)) };
    });
    const entry = await storing;
    onWrite();
    return new Write(local, entry);
  }

  #draft(
    op: Draft['op'],
    entityId: string,
    data: object | undefined,
    { scope, dependsOn }: WriteOptions,
  ): Draft {
    const { local, stamp } = this.parts;
    const draft: Draft = {
      ...stamp(),
      scope: scope ?? this.get(entityId)?.scope ?? this.#type.scope ?? `user:${local.identity.userId}`,
      entityType: this.entityType,
      entityId,
      op,
      data: data as EntityData | undefined,
      dependsOn: dependsOn?.map(({ mutationId }) => mutationId),
      schemaVersion: this.#type.schemaVersion ?? 1,
    };
    const fault = faultOf(draft);
    if (fault) throw new SyncError(fault.code, fault.message);
    return draft;
  }
}

/** @throws SyncError `entity_unknown` */
function known<Data extends object>(
  entities: EntitySet<Data>,
  entityId: string,
  op: 'patch' | 'delete' | 'merge',
): Entity<Data> {
  const before = entities.get(entityId);
  if (before) return before;
  throw new SyncError('entity_unknown', `There is no ${entities.entityType} ${entityId} to ${op}`);
}

/** @throws SyncError `data_invalid` */
function asJson(data: object): object {
  try {
    return readJson(JSON.stringify(data)) as object;
  } catch (cause) {
    throw new SyncError('data_invalid', 'not_json', { cause });
  }
}

/** What is waited for later: that it fails is not unknown until then. */
function handled<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
