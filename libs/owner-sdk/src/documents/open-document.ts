import {
  admitUpdate,
  advanceStateVector,
  decodeStateVector,
  encodeStateVector,
  stateVectorOf,
  type Admission,
  type AuthorKind,
  type Refusal,
  type StateVector,
  type AdmissionLimits,
} from '@sync/documents';
import type { PushedMutation } from '@sync/protocol';
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
  /** Upper bound: merging never grows. */
  bytes: number;
  private stateVector: StateVector;
  private readonly admission: AdmissionLimits;
  private readonly owners: Map<number, string>;

  constructor(before: DocumentRow | null, owners: ReadonlyMap<number, string>, admission: AdmissionLimits) {
    this.before = before;
    this.admission = admission;
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
  append(update: Uint8Array, origin: ChangeOrigin): Admission | Refusal {
    const head = { stateVector: this.stateVector, clientOwners: this.owners };
    const answer = admitUpdate(update, head, { kind: origin.kind, id: origin.author }, this.admission);
    if (!answer.ok || !answer.changes) return answer;
    this.stateVector = advanceStateVector(this.stateVector, answer.added);
    for (const client of answer.claimed) this.claim(client, origin.author);
    this.sequence += 1;
    this.bytes += answer.update.length;
    const { replica, counter, mutation } = origin;
    const mutationId = mutation?.mutationId ?? null;
    this.logged.push({ sequence: this.sequence, update: answer.update, replica, counter, mutationId });
    // A suggestion has seen all that there is, and says nothing of what the devices of the batch have.
    if (mutation && origin.kind === 'device') {
      this.firstMerge ??= mutation;
      this.lastMerge = mutation;
    }
    return answer;
  }

  private claim(client: number, author: string): void {
    this.owners.set(client, author);
    this.claims.set(client, author);
  }
}
