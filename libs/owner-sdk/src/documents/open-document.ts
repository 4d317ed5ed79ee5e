import {
  admitUpdate,
  advanceStateVector,
  decodeStateVector,
  encodeStateVector,
  stateVectorOf,
  type Admission,
  type AdmissionLimits,
  type AuthorKind,
  type StateVector,
} from '@sync/documents';
import type { PushedMutation } from '@sync/protocol';
import { reject, type Rejected } from '../handler-answer.ts';
import type { DocumentRow, LoggedUpdate } from './document-rows.ts';

/** A document that holds nothing, as an update. */
export const EMPTY_STATE = Uint8Array.of(0, 0);

/** Whose change, and how the entity's clock counts it. */
export interface ChangeOrigin {
  readonly kind: AuthorKind;
  readonly author: string;
  readonly replica: string;
  readonly counter: number;
  /** Null for a change of the service's own. */
  readonly mutation: PushedMutation | null;
}

/** Why a document does not take more. */
export const tooLarge = (maxStateBytes: number): Rejected =>
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

/** One document while a batch changes it: bytes and numbers, no Yjs document. */
export class OpenDocument {
  readonly before: DocumentRow | null;
  readonly logged: LoggedUpdate[] = [];
  readonly claims = new Map<number, string>();
  /** The first change of this batch by a device, whose clock says what its side had seen. */
  firstMerge: PushedMutation | null = null;
  lastMerge: PushedMutation | null = null;
  epoch: number;
  /** The dot that began the epoch. */
  start: { readonly replica: string; readonly counter: number };
  sequence: number;
  base: Uint8Array;
  /** What the base and the updates of the batch have together. */
  bytes: number;
  private stateVector: StateVector;
  private readonly limits: DocumentLimits;
  private readonly owners: Map<number, string>;

  constructor(before: DocumentRow | null, owners: ReadonlyMap<number, string>, limits: DocumentLimits) {
    this.before = before;
    this.limits = limits;
    this.owners = new Map(owners);
    this.epoch = before?.epoch ?? 0;
    this.start = { replica: before?.epochReplica ?? '', counter: before?.epochCounter ?? 0 };
    this.sequence = before?.sequence ?? 0;
    this.base = before?.state ?? EMPTY_STATE;
    this.bytes = this.base.length;
    this.stateVector = before ? decodeStateVector(before.stateVector) : new Map();
  }

  get beganNow(): boolean {
    return this.epoch !== this.before?.epoch;
  }

  get encodedStateVector(): Uint8Array {
    return encodeStateVector(this.stateVector);
  }

  /** Begins a new document under the same id, with content that nobody may merge into the old one. */
  begin(content: Uint8Array, origin: ChangeOrigin): void {
    this.epoch += 1;
    this.start = { replica: origin.replica, counter: origin.counter };
    this.sequence = 1;
    this.base = content;
    this.bytes = content.length;
    this.logged.length = 0;
    this.firstMerge = null;
    this.stateVector = stateVectorOf(content);
    for (const client of this.stateVector.keys()) this.claim(client, origin.author);
  }

  /** Admits an update and appends it to what the batch will log. */
  append(update: Uint8Array, origin: ChangeOrigin): TakenPart | Rejected {
    const head = { stateVector: this.stateVector, clientOwners: this.owners };
    const { admission, maxStateBytes } = this.limits;
    const answer = admitUpdate(update, head, { kind: origin.kind, id: origin.author }, admission);
    if (!answer.ok && answer.code !== 'update_empty')
      return reject(answer.code, `/update: ${answer.message}`);
    if (!answer.ok || !answer.changes) return { kind: 'taken', added: EMPTY_STATE };
    // What deletes may make room; how large the document is with it shows when it is merged.
    if (!answer.deletes && this.bytes + answer.update.length > maxStateBytes) return tooLarge(maxStateBytes);
    for (const client of answer.claimed) this.claim(client, origin.author);
    this.log(answer, origin);
    return { kind: 'taken', added: answer.update };
  }

  private log({ update, added }: Admission, { kind, replica, counter, mutation }: ChangeOrigin): void {
    this.stateVector = advanceStateVector(this.stateVector, added);
    this.sequence += 1;
    this.bytes += update.length;
    const mutationId = mutation?.mutationId ?? null;
    this.logged.push({ sequence: this.sequence, update, replica, counter, mutationId });
    // A suggestion has seen all that there is, and says nothing of what the devices of the batch have.
    if (mutation && kind === 'device') {
      this.firstMerge ??= mutation;
      this.lastMerge = mutation;
    }
  }

  private claim(client: number, author: string): void {
    this.owners.set(client, author);
    this.claims.set(client, author);
  }
}
