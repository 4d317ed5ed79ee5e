import { hasSeenDot, type ChangeDot, type ReplicaId, type VectorClock } from '@sync/vector-clock';
import {
  admitUpdate,
  type Admission,
  type AdmissionLimits,
  type ClientOwner,
  type UpdateAuthor,
} from '../admission/admit-update.ts';
import { WrittenContent } from '../admission/written-content.ts';
import { stateVectorOf } from '../state/document-state.ts';
import {
  advanceStateVector,
  decodeStateVector,
  encodeStateVector,
  type StateVector,
} from '../state/state-vector.ts';

/** A document that holds nothing, as an update. */
export const EMPTY_STATE = Uint8Array.of(0, 0);

/** A document as it was stored. */
export interface StoredDocument {
  readonly epoch: number;
  /** The dot of the change that began the epoch. */
  readonly start: ChangeDot;
  /** How many changes the epoch has had. */
  readonly sequence: number;
  readonly state: Uint8Array;
  readonly stateVector: Uint8Array;
}

/** One change of a document's log. */
export interface LoggedUpdate {
  readonly sequence: number;
  readonly update: Uint8Array;
  readonly dot: ChangeDot;
  readonly mutationId: string | null;
}

/** What is asked of a mutation here. */
export interface Named {
  readonly mutationId: string;
}

/** Whose change, and how the entity's clock counts it. */
export interface ChangeOrigin<Mutation extends Named> extends UpdateAuthor {
  readonly dot: ChangeDot;
  /** Null for a change of the service's own. */
  readonly mutation: Mutation | null;
}

/** Why an update is not taken; the answer of a push handler. */
export interface RejectedUpdate {
  readonly kind: 'rejected';
  readonly code: string;
  readonly message: string;
}

const reject = (code: string, message: string): RejectedUpdate => ({ kind: 'rejected', code, message });

/** Why a document does not take more. */
export const tooLarge = (maxStateBytes: number): RejectedUpdate =>
  reject('document_too_large', `/update: the document would have more than ${maxStateBytes} bytes`);

/** What an update added, without what was known. */
export interface TakenPart {
  readonly kind: 'taken';
  readonly added: Uint8Array;
}

/** Bounds of a document. */
export interface DocumentLimits {
  readonly admission: AdmissionLimits;
  /** Of the whole document: as base64 it has to fit into an event. */
  readonly maxStateBytes: number;
}

/** An update that repeats what is not in the document any more. */
export interface UncertainUpdate {
  readonly update: Uint8Array;
  /** Of the document when it came. */
  readonly stateVector: StateVector;
  readonly mutationId: string;
}

/** One document while a batch changes it: bytes and numbers, no Yjs document. */
export class OpenDocument<Mutation extends Named, Stored extends StoredDocument = StoredDocument> {
  readonly before: Stored | null;
  readonly logged: LoggedUpdate[] = [];
  readonly claims = new Map<number, ClientOwner>();
  /**
   * ClientIDs under which nobody writes on: one of their authors was found to write another history than the
   * document has.
   */
  readonly closed = new Set<number>();
  readonly uncertain: UncertainUpdate[] = [];
  /** The first change of this batch by a device, whose clock says what its side had seen. */
  firstMerge: Mutation | null = null;
  lastMerge: Mutation | null = null;
  epoch: number;
  /** The dot that began the epoch. */
  start: ChangeDot;
  sequence: number;
  base: Uint8Array;
  /** What the base and the updates of the batch have together. */
  bytes: number;
  private stateVector: StateVector;
  private readonly limits: DocumentLimits;
  private readonly owners: Map<number, ClientOwner>;
  private content: WrittenContent;

  constructor(before: Stored | null, owners: ReadonlyMap<number, ClientOwner>, limits: DocumentLimits) {
    this.before = before;
    this.limits = limits;
    this.owners = new Map(owners);
    this.epoch = before?.epoch ?? 0;
    this.start = before?.start ?? { replicaId: '', counter: 0, folds: 0 };
    this.sequence = before?.sequence ?? 0;
    this.base = before?.state ?? EMPTY_STATE;
    this.bytes = this.base.length;
    this.content = new WrittenContent([this.base]);
    this.stateVector = before ? decodeStateVector(before.stateVector) : new Map();
  }

  get beganNow(): boolean {
    return this.epoch !== this.before?.epoch;
  }

  get encodedStateVector(): Uint8Array {
    return encodeStateVector(this.stateVector);
  }

  /** Begins a new document under the same id, with content that nobody may merge into the old one. */
  begin(content: Uint8Array, origin: ChangeOrigin<Mutation>): void {
    this.epoch += 1;
    this.start = origin.dot;
    this.sequence = 1;
    this.base = content;
    this.bytes = content.length;
    this.content = new WrittenContent([content]);
    this.logged.length = 0;
    this.uncertain.length = 0;
    this.firstMerge = null;
    this.stateVector = stateVectorOf(content);
    for (const client of this.stateVector.keys()) this.claim(client, origin);
  }

  /**
   * An update that a device made on `baseClock`.
   * @param own the device's replica id
   */
  merge(
    update: Uint8Array,
    baseClock: VectorClock | undefined,
    own: ReplicaId,
    origin: ChangeOrigin<Mutation>,
  ): TakenPart | RejectedUpdate {
    if (!baseClock || hasSeenDot(baseClock, this.start, own)) return this.append(update, origin);
    return reject('document_replaced', 'the document was replaced since; take the new one first');
  }

  /** Admits an update and appends it to what the batch will log. */
  append(update: Uint8Array, origin: ChangeOrigin<Mutation>): TakenPart | RejectedUpdate {
    const { stateVector, owners: clientOwners, content } = this;
    const { admission, maxStateBytes } = this.limits;
    const answer = admitUpdate(update, { stateVector, clientOwners, content }, origin, admission);
    if (!answer.ok) {
      if (answer.code === 'update_empty') return { kind: 'taken', added: EMPTY_STATE };
      if (answer.splitClient !== undefined) this.close(answer.splitClient, origin);
      return reject(answer.code, `/update: ${answer.message}`);
    }
    // What deletes may make room; how large the document is with it shows when it is merged.
    if (!answer.deletes && this.bytes + answer.update.length > maxStateBytes) return tooLarge(maxStateBytes);
    const { mutation } = origin;
    if (answer.repeatsGone && mutation)
      this.uncertain.push({ update, stateVector, mutationId: mutation.mutationId });
    if (!answer.changes) return { kind: 'taken', added: EMPTY_STATE };
    for (const client of answer.claimed) this.claim(client, origin);
    this.log(answer, origin);
    return { kind: 'taken', added: answer.update };
  }

  private log({ update, added }: Admission, { kind, dot, mutation }: ChangeOrigin<Mutation>): void {
    this.stateVector = advanceStateVector(this.stateVector, added);
    this.sequence += 1;
    this.bytes += update.length;
    const mutationId = mutation?.mutationId ?? null;
    this.content.add(update);
    this.logged.push({ sequence: this.sequence, update, dot, mutationId });
    // A suggestion has seen all that there is, and says nothing of what the devices of the batch have.
    if (mutation && kind === 'device') {
      this.firstMerge ??= mutation;
      this.lastMerge = mutation;
    }
  }

  private claim(client: number, { id, device }: UpdateAuthor): void {
    const owner = { id, device, closed: false };
    this.owners.set(client, owner);
    this.claims.set(client, owner);
  }

  /**
   * Only whoever writes under it may end it: anybody could send something else under a clientID of somebody
   * else.
   */
  private close(client: number, { id, device }: UpdateAuthor): void {
    const owner = this.owners.get(client);
    if (owner?.id !== id || (owner.device !== null && owner.device !== device)) return;
    this.owners.set(client, { ...owner, closed: true });
    this.closed.add(client);
  }
}
