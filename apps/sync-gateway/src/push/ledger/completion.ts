import { randomUUID } from 'node:crypto';
import type { ConflictDraft } from '@sync/domain';
import type { SyncEventType } from '@sync/protocol';
import { outcomeText } from '../outcome/outcome-text.ts';
import type { Author, Settlement } from '../outcome/settlement.ts';
import type { EntityAddress, Refusal } from '../prepare/prepare-mutation.ts';
import { DraftRoom, fitDraft } from './fit-draft.ts';
import { type ShownState, showsLarge, shownStates } from './shown-entities.ts';

/** One element of `push_complete`'s p_items; see push-complete.sql. */
export interface CompletionItem {
  readonly id: string;
  readonly attempt: number | null;
  readonly status: string;
  readonly delayMs?: number;
  readonly mayBeSent?: boolean;
  readonly error?: string;
  readonly kind?: EventKind;
  readonly conflict?: string;
  readonly chunk: number;
  readonly revision?: number;
  readonly counter?: number;
  /** Its outcome has its entity beside it. */
  readonly shows?: true;
  /** `KeptRefusal` as JSON text. */
  readonly refusal?: string;
}

/**
 * How a mutation that matches no schema ends as soon as its entity can be shown; stored in place of a
 * decision.
 */
export interface KeptRefusal {
  readonly refusal: Refusal;
  readonly address: EntityAddress;
}

type EventKind = 'applied' | 'rejected' | 'accepted';

/** What a settlement belongs to. */
export interface Completed {
  readonly mutationId: string;
  /** null when it matches no schema: then no event can list it. */
  readonly address: EntityAddress | null;
  /** Which change of its device it is, by its own clock; null when that matches no schema. */
  readonly counter: number | null;
  /** The attempt that may write the outcome; null: whichever. */
  readonly attempt: number | null;
  /** It has not been announced as accepted before. */
  readonly fresh: boolean;
  /** Until the next attempt, when it is postponed; absent: as planned before. */
  readonly delayMs?: number;
  readonly settlement: Settlement;
}

/** Everything `push_complete` needs. */
export interface Completion {
  readonly items: readonly CompletionItem[];
  /**
   * One per item: the wire text of its outcome, without `current` where that is in `shown`; empty while it
   * has none.
   */
  readonly outcomes: readonly string[];
  /** Large entities that outcomes show, once each. */
  readonly shown: readonly ShownState[];
  /** One per item: its element in the list of its event, empty when none lists it. */
  readonly entries: readonly string[];
  readonly events: Readonly<Record<EventKind, string>>;
}

const ACCEPTED = { status: 'accepted', code: undefined } as const;
/** One message of SYNC_EVENTS; a ConflictRecord draft may be large, and a message has a bound. */
const MAX_CHUNK_BYTES = 256 * 1024;
/** Above it an event would not fit one message even alone: the draft then goes without what can be spared. */
const MAX_EVENT_BYTES = 900_000;

/** The outcomes of one device with the sync events that tell of them. */
export function completionOf(author: Author, completed: readonly Completed[], nowIso: string): Completion {
  let chunk = 0;
  let chunkBytes = 0;
  const room = new DraftRoom();
  const items = completed.map((one): CompletionItem => {
    const item = itemOf(one);
    const conflict = conflictEvent(author, one, nowIso, room);
    if (conflict === null) return { ...item, chunk: 0 };
    const bytes = Buffer.byteLength(conflict);
    // Chunk 0 carries the events that list mutations; conflicts begin their own.
    if (chunk === 0 || chunkBytes + bytes > MAX_CHUNK_BYTES) {
      chunk += 1;
      chunkBytes = 0;
    }
    chunkBytes += bytes;
    return { ...item, conflict, chunk };
  });
  return {
    items,
    outcomes: completed.map((one) => {
      const { mutationId, settlement } = one;
      if (settlement.kind === 'postponed') return '';
      return outcomeText(mutationId, settlement, showsLarge(one) ? null : settlement.current);
    }),
    shown: [...shownStates(completed).values()],
    entries: completed.map((one, place) => (items[place]?.kind === undefined ? '' : entryOf(one))),
    events: {
      applied: eventHead(author, 'sync.mutation.applied.v1', nowIso),
      rejected: eventHead(author, 'sync.mutation.rejected.v1', nowIso),
      accepted: eventHead(author, 'sync.mutation.accepted.v1', nowIso),
    },
  };
}

function itemOf(completed: Completed): Omit<CompletionItem, 'chunk'> {
  const { mutationId, address, counter, attempt, settlement, fresh, delayMs } = completed;
  const revision = settlement.kind === 'settled' ? settlement.revision : undefined;
  // Of what was applied the entity's clock tells.
  const counted = revision === undefined ? { ...(counter !== null && { counter }) } : { revision };
  const base = { id: mutationId, attempt, ...counted };
  if (settlement.kind === 'postponed') {
    return {
      ...base,
      status: 'accepted',
      mayBeSent: settlement.mayBeSent,
      error: settlement.reason,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(fresh && address ? { kind: 'accepted' } : {}),
      ...(settlement.refusal && address
        ? { refusal: JSON.stringify({ refusal: settlement.refusal, address } satisfies KeptRefusal) }
        : {}),
    };
  }
  const { status } = settlement;
  const kind = status === 'applied' || status === 'merged' ? 'applied' : 'rejected';
  return { ...base, status, ...(address ? { kind } : {}), ...(showsLarge(completed) && { shows: true }) };
}

function entryOf({ mutationId, address, settlement }: Completed): string {
  const { entityType, entityId } = address ?? {};
  const { status, code } = settlement.kind === 'postponed' ? ACCEPTED : settlement;
  return JSON.stringify({ mutationId, entityType, entityId, status, code });
}

/** A CloudEvent up to the list that push_complete fills with what it stored. */
function eventHead(author: Author, type: SyncEventType, nowIso: string): string {
  return `${JSON.stringify(envelope(author, type, nowIso)).slice(0, -1)},"data":{"mutations":[`;
}

function envelope({ tenantId, userId, deviceId }: Author, type: SyncEventType, nowIso: string): object {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'sync-gateway',
    type,
    time: nowIso,
    datacontenttype: 'application/json',
    tenantid: tenantId,
    userid: userId,
    deviceid: deviceId,
  };
}

/**
 * Open conflicts are detected, the others are detected and resolved at once: one event each, with the draft
 * of the record.
 */
function conflictEvent(
  author: Author,
  { mutationId, address, settlement }: Completed,
  nowIso: string,
  room: DraftRoom,
): string | null {
  if (settlement.kind !== 'settled' || !settlement.conflict || !address) return null;
  const { conflictId } = settlement.conflict;
  const draft = room.take(settlement.conflict.draft);
  const open = draft.decision === 'open';
  const { entityType, entityId, scope } = address;
  const seen = {
    conflictId,
    mutationId,
    entityType,
    entityId,
    scope,
    status: open ? 'open' : 'auto_resolved',
  };
  const type = open ? 'sync.conflict.detected.v1' : 'sync.conflict.resolved.v1';
  const text = (kept: ConflictDraft): string =>
    JSON.stringify({ ...envelope(author, type, nowIso), data: { ...seen, draft: kept } });
  const fits = (kept: ConflictDraft): boolean => Buffer.byteLength(text(kept)) <= MAX_EVENT_BYTES;
  const whole = text(draft);
  return whole.length <= MAX_EVENT_BYTES / 3 ? whole : text(fitDraft(draft, fits));
}
