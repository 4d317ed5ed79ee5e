import type { ConflictDraft } from '@sync/domain';
import { groupsThatFit, syncEvent } from '@sync/messaging';
import type { MutationsSeen, Outcome, PushSeen, SyncEventData, SyncEventType } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { type Completed, statusOf } from './completion.ts';
import { DraftRoom, fitDraft } from './fit-draft.ts';

/** The sync events of a completion, as they are when all of it is stored; see completion-events.sql. */
export interface CompletionEvents {
  /** CloudEvents, with commas between them; null when there is nothing to tell. */
  readonly told: string | null;
  /** The event of each ConflictRecord, with the number of the message that carries it. */
  readonly conflicts: readonly ConflictEvent[];
}

interface ConflictEvent {
  readonly mutationId: string;
  readonly message: number;
  readonly event: string;
}

type Status = Outcome['status'];
type Entry = PushSeen['mutations'][number];
type ListedEntry = MutationsSeen['mutations'][number];
type ListingType = (typeof LISTED_BY)[Status];

const LISTED_BY = {
  applied: 'sync.mutation.applied.v1',
  merged: 'sync.mutation.applied.v1',
  superseded: 'sync.mutation.rejected.v1',
  rejected: 'sync.mutation.rejected.v1',
  conflict: 'sync.mutation.rejected.v1',
  accepted: 'sync.mutation.accepted.v1',
} as const satisfies Record<Status, SyncEventType>;

/** One message of SYNC_EVENTS; a ConflictRecord draft may be large, and a message has a bound. */
const MESSAGE_ROOM = { bytes: 256 * 1024 } as const;
/** Above it an event would not fit one message even alone: the draft then goes without what can be spared. */
const MAX_EVENT_BYTES = 900_000;

/**
 * Tells of the outcomes of one device: counted, and one by one what was not simply applied (ADR 0030).
 * @param listsMutations also in events that list every mutation
 */
export function completionEvents(
  author: Author,
  completed: readonly Completed[],
  nowIso: string,
  listsMutations: boolean,
): CompletionEvents {
  const news = completed.filter(({ settlement, fresh }) => settlement.kind === 'settled' || fresh);
  const events = news.length === 0 ? [] : [countingEvent(author, news, nowIso)];
  if (listsMutations) events.push(...listingEvents(author, news, nowIso));
  return {
    told: events.length === 0 ? null : events.join(','),
    conflicts: conflictEvents(author, completed, nowIso),
  };
}

function countingEvent(author: Author, news: readonly Completed[], nowIso: string): string {
  const counts: Partial<Record<Status, number>> = {};
  const mutations: Entry[] = [];
  for (const one of news) {
    const status = statusOf(one);
    counts[status] = (counts[status] ?? 0) + 1;
    if (status !== 'applied') mutations.push(entryOf(one));
  }
  return eventText(author, 'sync.push.completed.v1', nowIso, { counts, mutations });
}

function listingEvents(author: Author, news: readonly Completed[], nowIso: string): string[] {
  const lists = new Map<ListingType, ListedEntry[]>();
  for (const one of news) {
    if (!one.address) continue;
    const type = LISTED_BY[statusOf(one)];
    const list = lists.get(type) ?? [];
    list.push(entryOf(one) as ListedEntry);
    lists.set(type, list);
  }
  return [...lists].map(([type, mutations]) => eventText(author, type, nowIso, { mutations }));
}

function entryOf(one: Completed): Entry {
  const { mutationId, address, settlement } = one;
  const code = settlement.kind === 'settled' ? settlement.code : undefined;
  return {
    mutationId,
    ...(address && { entityType: address.entityType, entityId: address.entityId }),
    status: statusOf(one),
    ...(code !== undefined && { code }),
  };
}

function conflictEvents(author: Author, completed: readonly Completed[], nowIso: string): ConflictEvent[] {
  const room = new DraftRoom();
  const events = completed.flatMap((one) => {
    const event = conflictEvent(author, one, nowIso, room);
    return event === null ? [] : [{ mutationId: one.mutationId, event }];
  });
  const messages = [...groupsThatFit(events, MESSAGE_ROOM, ({ event }) => Buffer.byteLength(event))];
  return messages.flatMap((group, at) => group.map((one) => ({ ...one, message: at + 1 })));
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
  const status = open ? 'open' : 'auto_resolved';
  const seen = { conflictId, mutationId, entityType, entityId, scope, status } as const;
  const type = open ? 'sync.conflict.detected.v1' : 'sync.conflict.resolved.v1';
  const text = (kept: ConflictDraft): string => eventText(author, type, nowIso, { ...seen, draft: kept });
  const fits = (kept: ConflictDraft): boolean => Buffer.byteLength(text(kept)) <= MAX_EVENT_BYTES;
  const whole = text(draft);
  return whole.length <= MAX_EVENT_BYTES / 3 ? whole : text(fitDraft(draft, fits));
}

function eventText<T extends SyncEventType>(
  { tenantId, userId, deviceId }: Author,
  type: T,
  nowIso: string,
  data: SyncEventData[T],
): string {
  const teller = { source: 'sync-gateway', tenantId, userId, deviceId, timeIso: nowIso } as const;
  return JSON.stringify(syncEvent(type, data, teller));
}
