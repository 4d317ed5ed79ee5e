import {
  ADMISSION_LIMITS,
  type AdmissionLimits,
  type ChangeOrigin,
  EMPTY_STATE,
  OpenDocument,
  type RejectedUpdate,
  TooDeepError,
  WrittenContent,
  compareRepeated,
  decodeStateVector,
  diffFor,
  findOverlaps,
  sidesOf,
  squash,
  tooLarge,
} from '@sync/documents';
import type { JsonObject, MergeReport } from '@sync/domain';
import { deviceReplica, hasSeenDot } from '@sync/vector-clock';
import type {
  DocumentChange,
  DocumentKeeper,
  DocumentMutation,
  KeptDocument,
} from '../server/document-keeper.ts';
import { fromBase64, toBase64 } from './base64.ts';

/** What {@link keepDocuments} may be told; `KeptDocuments` of `@sync/owner-sdk` knows the same. */
export interface KeepDocumentsOptions {
  /** Field of the entity’s data in which a service gives the document. Default: `body`. */
  readonly field?: string;
  /** Field that tells devices the epoch. Default: `epoch`. */
  readonly epochField?: string;
  /** Of one document as an update. Default: 512 KiB. */
  readonly maxStateBytes?: number;
  /** Tighter or wider than what owning services admit. */
  readonly admission?: Partial<AdmissionLimits>;
}

type Open = OpenDocument<DocumentMutation, KeptDocument>;

const SERVICE = { kind: 'server', id: 'service', device: null } as const;
/** Nobody knows what these edits meet: somebody has to look. */
const NOT_COMPARED: MergeReport = { grade: 'severe', overlaps: [] };

/**
 * @returns for `documents` of an entity type with `crdt_yjs`. What is decided is decided by the functions of
 *   owning services on `@sync/owner-sdk`, without threads
 */
export function keepDocuments(options: KeepDocumentsOptions = {}): DocumentKeeper {
  const { field = 'body', epochField = 'epoch', maxStateBytes = 512 * 1024 } = options;
  const limits = { maxStateBytes, admission: { ...ADMISSION_LIMITS, ...options.admission } };
  return {
    ...{ field, epochField, remove },
    take(before, change) {
      const document: Open = new OpenDocument(before, before?.owners ?? new Map(), limits);
      const isGone = before === null || before.isGone;
      const epoch = change.data[epochField];
      const begins = isGone || (!change.mutation && typeof epoch === 'number' && epoch > before.epoch);
      const taken = begins ? begin(document, change, field) : append(document, change, field);
      if (taken.kind === 'rejected') return { ...taken, document: before && withClosed(before, document) };
      const gone = compareWithLog(document);
      if (typeof gone === 'object') return { ...gone, document: before };
      const state = squashed(document, begins, limits);
      if ('code' in state) return { ...state, document: before };
      const shown = (bytes: Uint8Array): JsonObject =>
        ({ ...change.data, [field]: toBase64(bytes), [epochField]: document.epoch }) as JsonObject;
      const met = gone ? NOT_COMPARED : begins ? null : compare(document, before, change);
      return {
        ...{ kind: 'taken', document: kept(document, state.bytes), begins, met },
        ...{ increment: shown(taken.added), whole: shown(state.bytes) },
      };
    },
    isStateVector(stateVector) {
      try {
        decodeStateVector(fromBase64(stateVector));
        return true;
      } catch {
        return false;
      }
    },
    difference: (update, stateVector) =>
      toBase64(diffFor(fromBase64(update), decodeStateVector(fromBase64(stateVector)))),
  };
}

type Added = { readonly kind: 'taken'; readonly added: Uint8Array } | RejectedUpdate;

/** Taken as what makes the document, an update would make an empty one. */
function begin(document: Open, { data, dot, mutation }: DocumentChange, field: string): Added {
  if (mutation?.op === 'merge')
    return { kind: 'rejected', code: 'document_unknown', message: 'there is no such document: put it first' };
  // What a service puts into a new document is its own words, whoever asked for the document.
  document.begin(bytesOf(data[field]), { ...SERVICE, dot, mutation });
  return { kind: 'taken', added: document.base };
}

function append(document: Open, { data, dot, mutation }: DocumentChange, field: string): Added {
  if (!mutation) return document.append(bytesOf(data[field]), { ...SERVICE, dot, mutation });
  if (mutation.op !== 'merge') return { kind: 'taken', added: EMPTY_STATE };
  const { userId, deviceId, update, baseClock } = mutation;
  const origin: ChangeOrigin<DocumentMutation> = {
    ...{ kind: 'device', id: userId, device: deviceId },
    ...{ dot, mutation },
  };
  return document.merge(bytesOf(update), baseClock, deviceReplica(deviceId), origin);
}

/** What repeats what was deleted since. @returns whether even the log has it no more; why it is refused */
function compareWithLog({ uncertain, before, base, logged }: Open): boolean | RejectedUpdate {
  let isGone = false;
  for (const { update, stateVector } of uncertain) {
    const log = before ? [before.begun, ...before.log.map((one) => one.update)] : [];
    const written = [[base, ...logged.map((one) => one.update)], log].map((each) => new WrittenContent(each));
    const repeated = compareRepeated(update, stateVector, written);
    if (repeated.kind === 'other') {
      const message = `/update: the log has other content under clientID ${repeated.client}`;
      return { kind: 'rejected', code: 'client_id_foreign', message };
    }
    isGone ||= repeated.kind === 'gone';
  }
  return isGone;
}

function squashed(
  { before, base, logged }: Open,
  begins: boolean,
  { admission, maxStateBytes }: { readonly admission: AdmissionLimits; readonly maxStateBytes: number },
): { readonly bytes: Uint8Array } | RejectedUpdate {
  try {
    const updates = logged.map(({ update }) => update);
    const bytes = squash(base, updates, admission.documentDepth);
    const most = Math.max(maxStateBytes, before?.state.length ?? 0);
    return !begins && bytes.length > most ? tooLarge(maxStateBytes) : { bytes };
  } catch (error) {
    if (!(error instanceof TooDeepError)) throw error;
    return { kind: 'rejected', code: 'content_not_allowed', message: `/update: ${error.message}` };
  }
}

/** What the update met that its device had not seen. */
function compare({ logged }: Open, before: KeptDocument, { mutation }: DocumentChange): MergeReport | null {
  if (mutation?.op !== 'merge' || logged.length === 0) return null;
  const own = deviceReplica(mutation.deviceId);
  const { baseClock } = mutation;
  if (before.log.every(({ dot }) => hasSeenDot(baseClock, dot, own))) return null;
  const { base, ours, theirs } = sidesOf(
    { base: before.begun, updates: before.log },
    ...([logged, baseClock, own] as const),
  );
  return findOverlaps(base, ours, theirs);
}

function kept(document: Open, state: Uint8Array): KeptDocument {
  const { before, beganNow, epoch, start, sequence, base, logged, claims, encodedStateVector } = document;
  const owners = new Map(before?.owners);
  for (const [client, owner] of claims) if (!owners.get(client)?.device) owners.set(client, owner);
  return {
    ...{ epoch, start, sequence, state, stateVector: encodedStateVector, isGone: false },
    begun: beganNow ? base : (before?.begun ?? base),
    log: [...(beganNow ? [] : (before?.log ?? [])), ...logged],
    owners,
  };
}

/** What is refused changes nothing but who may write on. */
function withClosed(before: KeptDocument, { closed }: Open): KeptDocument {
  const owners = new Map(before.owners);
  for (const client of closed) {
    const owner = owners.get(client);
    if (owner) owners.set(client, { ...owner, closed: true });
  }
  return { ...before, owners };
}

const remove = (before: KeptDocument): KeptDocument => ({ ...before, state: EMPTY_STATE, isGone: true });

/** A service may give bytes, as Yjs does, or base64. */
function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return typeof value === 'string' && value !== '' ? fromBase64(value) : EMPTY_STATE;
}
