import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type DeviceIdentity, SyncError } from '@sync/client';
import { type Draft, faultOf, hasAll, makeMutation } from '@sync/client/parts';
import { taggedText } from '@sync/protocol/device';
import type { LocalMutation, Outcome, PushResponse } from '@sync/protocol';
import { type VectorClock, deviceReplica } from '@sync/vector-clock';
import type { RxCollection, RxReplicationWriteToMasterRow, WithDeleted } from 'rxdb';
import type { Connection, RxSyncOptions } from './connection.ts';
import { type Replicated, type Synced, dataOf, documentOf, readStored } from './documents.ts';

type Row = RxReplicationWriteToMasterRow<Synced>;
type Options = Pick<RxSyncOptions, 'identity' | 'key' | 'device'> & { readonly now: () => number };

interface Work {
  readonly row: Row;
  readonly draft: Draft;
}

/** The push handler of one collection. */
export class RowPusher {
  readonly #connection: Connection;
  readonly #collection: RxCollection<Synced>;
  readonly #type: Replicated;
  readonly #options: Options;
  /** Rows that RxDB hands in again after an error, though the document has changed since. */
  readonly #drafts = new WeakMap<Row, Draft>();
  /** What was refused, by its id, until the conflict handler has had its say. */
  readonly #refused = new Map<string, string>();

  constructor(connection: Connection, collection: RxCollection<Synced>, type: Replicated, options: Options) {
    this.#connection = connection;
    this.#collection = collection;
    this.#type = type;
    this.#options = options;
  }

  /**
   * @returns what the server has instead of each change that does not stand as it was sent
   * @throws SyncError `request_failed`, `device_revoked`
   */
  async push(rows: readonly Row[]): Promise<WithDeleted<Synced>[]> {
    const works = await this.#draft(rows.filter((row) => !this.#wasRefused(row)));
    const faulty = works.flatMap(({ draft }) => refusedHere(draft.mutationId, faultOf(draft)));
    const isFaulty = new Set(faulty.map(({ mutationId }) => mutationId));
    const sent = await this.#number(works.filter(({ draft }) => !isFaulty.has(draft.mutationId)));
    const outcomes = [...faulty, ...(await this.#deliver(sent))];
    const byId = new Map(outcomes.map((outcome) => [outcome.mutationId, outcome]));
    return works.flatMap(({ row, draft }) => {
      const outcome = byId.get(draft.mutationId);
      if (!outcome || outcome.status === 'applied' || outcome.status === 'accepted') return [];
      this.#connection.answered.add(draft.mutationId);
      this.#connection.tell(outcome, sent.find(({ mutationId }) => mutationId === draft.mutationId) ?? null);
      if (outcome.status === 'rejected') this.#refused.set(draft.entityId, this.#contentOf(row));
      return [this.#masterOf({ row, draft }, outcome.current ?? byId.get(outcome.currentOf ?? '')?.current)];
    });
  }

  #masterOf({ row, draft }: Work, current: Outcome['current']): WithDeleted<Synced> {
    const { newDocumentState: held, assumedMasterState } = row;
    const { primaryPath } = this.#collection.schema;
    if (current) return documentOf(current, { scope: draft.scope, primaryPath, held });
    return assumedMasterState ?? { ...held, _deleted: true };
  }

  /**
   * A conflict handler that insists on what was just refused would have RxDB send it for ever. It is not sent
   * again; the document stays as the handler wants it, and the app was told of the outcome.
   */
  #wasRefused(row: Row): boolean {
    const id = this.#idOf(row.newDocumentState);
    const content = this.#refused.get(id);
    this.#refused.delete(id);
    return content === this.#contentOf(row);
  }

  #contentOf({ newDocumentState: { _deleted, ...document } }: Row): string {
    return taggedText({ _deleted, data: dataOf(document, this.#collection.schema.primaryPath) });
  }

  #idOf(document: Synced): string {
    return String(document[this.#collection.schema.primaryPath]);
  }

  async #draft(rows: readonly Row[]): Promise<Work[]> {
    const ids = rows.map(({ newDocumentState }) => this.#idOf(newDocumentState));
    const stored = await readStored(this.#collection, ids);
    return rows.flatMap((row, at) => {
      const change = this.#changeOf(row);
      if (!change) return [];
      const { entityType, schemaVersion = 1, scope } = this.#type;
      const entityId = ids[at] ?? '';
      const writtenMs = stored.get(entityId)?._meta.lwt ?? this.#options.now();
      const content = {
        ...{ entityType, entityId, scope: row.newDocumentState.syncState?.scope ?? scope, ...change },
        occurredAt: new Date(writtenMs).toISOString(),
      };
      const mutationId = mutationIdOf(this.#options.identity, content);
      const draft = this.#drafts.get(row) ?? { ...content, mutationId, schemaVersion };
      this.#drafts.set(row, draft);
      return [{ row, draft }];
    });
  }

  /** Null where nothing of the data changed, as after a conflict that the server won. */
  #changeOf({ newDocumentState, assumedMasterState }: Row): Pick<Draft, 'op' | 'data'> | null {
    const { primaryPath } = this.#collection.schema;
    if (newDocumentState._deleted) return assumedMasterState?._deleted ? null : { op: 'delete' };
    const data = dataOf(newDocumentState, primaryPath);
    if (!assumedMasterState || assumedMasterState._deleted)
      return { op: this.#type.isAppendOnly ? 'append' : 'put', data };
    const before = dataOf(assumedMasterState, primaryPath);
    const isSame = (name: string): boolean =>
      taggedText({ is: before[name] }) === taggedText({ is: data[name] });
    // A patch cannot take a field away.
    if (Object.keys(before).some((name) => data[name] === undefined)) return { op: 'put', data };
    const changed = Object.entries(data).filter(([name]) => !isSame(name));
    return changed.length > 0 ? { op: 'patch', data: Object.fromEntries(changed) } : null;
  }

  /** What is counted for a mutation is stored before it is sent: no number comes a second time. */
  async #number(works: readonly Work[]): Promise<LocalMutation[]> {
    if (works.length === 0) return [];
    const { device, identity, key } = this.#options;
    const first = { id: 'device', sequence: 0 };
    const count = (await device.findOne(first.id).exec()) ?? (await device.insertIfNotExists(first));
    const after = await count.incrementalModify(({ sequence, ...rest }) => {
      return { ...rest, sequence: sequence + works.length };
    });
    const own = deviceReplica(identity.deviceId);
    const numbered = works.map(({ row, draft }, at) => {
      const sequence = after.sequence - works.length + 1 + at;
      // A device knows its own changes, so they are left out (PUSH-4).
      const { [own]: _own, ...baseClock } = seenIn(row);
      return makeMutation(draft, { sequence, baseClock });
    });
    const tag = (each: LocalMutation): Promise<string> => key.tag(taggedText(each));
    return Promise.all(numbered.map(async (each) => ({ ...each, tag: await tag(each) })));
  }

  /** In halves where that is too large for one request. */
  async #deliver(mutations: readonly LocalMutation[]): Promise<readonly Outcome[]> {
    if (mutations.length === 0) return [];
    try {
      const sentAt = new Date(this.#options.now()).toISOString();
      return (await this.#connection.send<PushResponse>('push', { sentAt, mutations })).outcomes;
    } catch (error) {
      if (!(error instanceof SyncError) || error.failure?.kind !== 'too_large') throw error;
      const [only, second] = mutations;
      if (only && !second)
        return refusedHere(only.mutationId, { code: 'data_too_large', message: error.message });
      const half = Math.ceil(mutations.length / 2);
      return [
        ...(await this.#deliver(mutations.slice(0, half))),
        ...(await this.#deliver(mutations.slice(half))),
      ];
    }
  }
}

/** The later of what the server had when the document was written, and what the document says itself. */
function seenIn({ newDocumentState, assumedMasterState }: Row): VectorClock {
  const { clock: assumed = {} } = assumedMasterState?.syncState ?? {};
  const { clock = {} } = newDocumentState.syncState ?? {};
  return hasAll(clock, assumed) ? clock : assumed;
}

/**
 * The id of a change is made of what it is (PUSH-3): who wrote what to which entity, and when. So the same
 * change has the same id whenever it is sent, and any other change has another one. A UUID of version 8.
 */
function mutationIdOf({ userId, deviceId }: DeviceIdentity, content: object): string {
  const hex = bytesToHex(sha256(utf8ToBytes(taggedText({ userId, deviceId, content }))));
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20, 32)].join('-');
}

function refusedHere(mutationId: string, fault: { code: string; message: string } | null): Outcome[] {
  return fault ? [{ mutationId, status: 'rejected', ...fault }] : [];
}
