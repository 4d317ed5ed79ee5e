import * as Y from 'yjs';
import { encodeStateVector, type StateVector } from '../state/state-vector.ts';
import { CLIENT_ID_RANGES, type AuthorKind } from './client-ids.ts';
import { compareRepeated } from './compare-repeated.ts';
import { readUpdate, type ClientRun, type UpdateOutline } from './read-update.ts';
import { RefusedUpdateError, type Refusal } from './refusal.ts';
import { assertDeletesExist, assertResolvable } from './resolve-references.ts';
import type { WrittenContent } from './written-content.ts';

export interface AdmissionLimits {
  /** Of one update; it bounds everything else that an update has, whose costs grow with its bytes. */
  readonly bytes: number;
  /** By how much one update may advance one clientID: a GC struct claims any length with a few bytes. */
  readonly clockAdvance: number;
  /** Where a clientID's history ends. */
  readonly clock: number;
  /** ClientIDs of a whole document. */
  readonly documentClients: number;
  /**
   * Shared types inside shared types that one update may add: Yjs deletes them by recursion, and 15,000 in
   * one another overflow the stack of everybody who does. 0: a document that is one text.
   */
  readonly nestedTypes: number;
  /**
   * How deep shared types may be nested in a whole document; seen when updates are merged, because an update
   * does not say where in the document it is.
   */
  readonly documentDepth: number;
}

/**
 * - 384 KiB is what the `update` of a mutation holds, as base64 (`LIMITS.updateLength` of the protocol).
 *   Measured at that size: 100 ms to admit the worst (10,000 clientIDs, or structs that all refer to others),
 *   1 s to merge it in a thread (100,000 deleted ranges).
 * - A million clocks is a million characters typed, or typed and deleted again, since the last push.
 * - 2^31 clocks stay within 32-bit arithmetic, which encoders use.
 * - 500 nested types are a long paste of rich text.
 * - 500 deep is what one such update may be, too: step by step a document must not get deeper than Yjs, which
 *   deletes by recursion, comes back up from.
 */
export const ADMISSION_LIMITS: AdmissionLimits = {
  bytes: 384 * 1024,
  clockAdvance: 1_000_000,
  clock: 2 ** 31,
  documentClients: 10_000,
  nestedTypes: 500,
  documentDepth: 500,
};

/** Whose a clientID is: whoever wrote under it first. */
export interface ClientOwner {
  /** The userId of a device; else who wrote for the service. */
  readonly id: string;
  /**
   * The deviceId. Null: no device, or nobody knows which, and the next device of the user that writes under
   * it takes it.
   */
  readonly device: string | null;
  /** Two histories were written under it, of which the document has one: nobody writes on. */
  readonly closed: boolean;
}

/** What admission knows of a document. */
export interface DocumentHead {
  readonly stateVector: StateVector;
  readonly clientOwners: ReadonlyMap<number, ClientOwner>;
  /** The whole document; looked into where an update repeats what is known. */
  readonly content: WrittenContent;
}

/** Compared with `clientOwners`. */
export interface UpdateAuthor extends Pick<ClientOwner, 'id' | 'device'> {
  readonly kind: AuthorKind;
}

/** An update that may be appended to the document's log. */
export interface Admission {
  readonly ok: true;
  /** What to store: the bytes as sent, or, when part of them was known already, the rest. */
  readonly update: Uint8Array;
  /** What it adds; empty for one that only deletes. */
  readonly added: readonly ClientRun[];
  /** ClientIDs that from now on belong to the author, or to its device. */
  readonly claimed: readonly number[];
  /** It repeats what was deleted since, and the document cannot tell whether it was the same: its log may. */
  readonly repeatsGone: boolean;
  /** False for a repetition: it adds nothing and deletes nothing. */
  readonly changes: boolean;
  /** It deletes something, perhaps nothing but what was deleted already. */
  readonly deletes: boolean;
}

/**
 * Decides whether an update may enter a document, by its bytes and the document's head: no document is loaded
 * and nothing is applied, because applying a bad update can throw after it has changed the document.
 *
 * Admitted means: it is V1 and complete; applying it to the document leaves nothing pending and does not
 * throw; it adds content only under clientIDs of its author; what it deletes exists. What it repeats is what
 * the document has, and is cut off: two versions of one struct would make replicas diverge, with equal state
 * vectors.
 */
export function admitUpdate(
  update: Uint8Array,
  head: DocumentHead,
  author: UpdateAuthor,
  limits: AdmissionLimits = ADMISSION_LIMITS,
): Admission | Refusal {
  try {
    if (update.length > limits.bytes) {
      throw new RefusedUpdateError('update_too_large', `${update.length} bytes, ${limits.bytes} are allowed`);
    }
    const outline = readUpdate(update);
    if (outline.runs.length === 0 && outline.deletes.length === 0) {
      throw new RefusedUpdateError('update_empty', 'neither structs nor deletions');
    }
    return admitOutline(update, outline, head, author, limits);
  } catch (error) {
    if (!(error instanceof RefusedUpdateError)) throw error;
    const { code, message, splitClient } = error;
    return { ok: false, code, message, ...(splitClient === undefined ? {} : { splitClient }) };
  }
}

function admitOutline(
  update: Uint8Array,
  outline: UpdateOutline,
  head: DocumentHead,
  author: UpdateAuthor,
  limits: AdmissionLimits,
): Admission {
  const { stateVector } = head;
  const added: ClientRun[] = [];
  const claimed: number[] = [];
  let overlaps = false;
  for (const run of outline.runs) {
    const known = stateVector.get(run.client) ?? 0;
    if (run.from > known) {
      throw incomplete(`clientID ${run.client} goes on at ${run.from}, the document has it up to ${known}`);
    }
    if (run.from < known) overlaps = true;
    if (run.to <= known) continue;
    assertClockBounds(run, known, limits);
    if (assertOwnClient(run.client, known, head, author)) claimed.push(run.client);
    added.push({ client: run.client, from: known, to: run.to });
  }
  const fresh = added.filter(({ from }) => from === 0).length;
  if (fresh > 0 && stateVector.size + fresh > limits.documentClients) {
    throw new RefusedUpdateError('document_exhausted', `it has ${limits.documentClients} clientIDs`);
  }
  assertFewTypes(outline, stateVector, limits.nestedTypes);
  assertDeletesExist(outline, stateVector);
  assertResolvable(outline, stateVector);
  return {
    ok: true,
    update: overlaps ? Y.diffUpdate(update, encodeStateVector(knownOf(outline, stateVector))) : update,
    added,
    claimed,
    repeatsGone: overlaps && repeatsGone(update, outline, head),
    changes: added.length > 0 || outline.deletes.length > 0,
    deletes: outline.deletes.length > 0,
  };
}

const incomplete = (detail: string): RefusedUpdateError =>
  new RefusedUpdateError('update_incomplete', detail);

/** @throws RefusedUpdateError when it repeats something else than the document has */
function repeatsGone(update: Uint8Array, outline: UpdateOutline, head: DocumentHead): boolean {
  const repeated = compareRepeated(update, head.stateVector, [head.content], outline);
  if (repeated.kind === 'other') {
    throw new RefusedUpdateError(
      'client_id_foreign',
      `${repeated.client} has other content in the document`,
      repeated.client,
    );
  }
  return repeated.kind === 'gone';
}

/** Only the clientIDs of the update: a document may have thousands. */
function knownOf({ runs }: UpdateOutline, stateVector: StateVector): StateVector {
  return new Map(runs.map(({ client }) => [client, stateVector.get(client) ?? 0]));
}

function assertClockBounds({ client, to }: ClientRun, known: number, limits: AdmissionLimits): void {
  if (to - known > limits.clockAdvance) {
    throw new RefusedUpdateError('clock_jump', `clientID ${client} from ${known} to ${to}`);
  }
  if (to > limits.clock) {
    throw new RefusedUpdateError(
      'document_exhausted',
      `clientID ${client} has reached clock ${limits.clock}`,
    );
  }
}

/** Of what it adds: a whole document that is sent again may have as many as it likes. */
function assertFewTypes({ runs, nestedTypes }: UpdateOutline, stateVector: StateVector, most: number): void {
  let added = 0;
  for (let at = 0; at < nestedTypes.length; at += 2) {
    const known = stateVector.get(runs[nestedTypes[at] ?? 0]?.client ?? 0) ?? 0;
    if ((nestedTypes[at + 1] ?? 0) >= known) added += 1;
  }
  if (added <= most) return;
  if (most === 0) throw new RefusedUpdateError('content_not_allowed', 'shared types inside shared types');
  throw new RefusedUpdateError(
    'update_too_large',
    `${added} nested shared types, ${most} are allowed at once`,
  );
}

/** @returns true when the clientID is new and becomes the author's, or becomes its device's */
function assertOwnClient(client: number, known: number, head: DocumentHead, author: UpdateAuthor): boolean {
  const { from, to } = CLIENT_ID_RANGES[author.kind];
  if (client < from || client >= to) throw foreign(`${client} is reserved`);
  const owner = head.clientOwners.get(client);
  // Content without a recorded owner was there before owners were recorded: it is somebody's, and nobody can
  // prove whose.
  if (owner === undefined && known === 0) return true;
  if (owner?.id !== author.id) throw foreign(`${client} belongs to another`);
  if (owner.device !== null && owner.device !== author.device)
    throw foreign(`${client} belongs to another device`);
  if (owner.closed) throw foreign(`two histories were written under ${client}`);
  return owner.device !== author.device;
}

const foreign = (detail: string): RefusedUpdateError => new RefusedUpdateError('client_id_foreign', detail);
