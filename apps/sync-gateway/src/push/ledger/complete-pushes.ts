import { type GroupedCalls, partitionOf } from '@sync/messaging';
import { arrayText, type Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import { endsOf, groupedFunction } from '../../database/grouped-function.ts';
import type { Completion, CompletionItem } from './completion.ts';
import { fitsTogether, PUSH_SEPARATOR, type PushSize } from './push-groups.ts';

/** What somebody else had stored before, by mutationId; null: still open. */
export type StoredBefore = ReadonlyMap<string, string | null>;

/** See push-complete.sql. */
interface StoredRow {
  readonly mutation_id: string;
  readonly outcome: string | null;
}

/** See push-complete-together.sql. */
const TOGETHER =
  'SELECT * FROM push_complete_together($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';

/** Last round trip of pushes: `push_complete`, for pushes that end at the same time once for all of them. */
export function completePushes(database: Pick<Database, 'call'>): GroupedCalls<Completion, StoredBefore> {
  return groupedFunction<Completion, StoredRow, StoredBefore>(database, {
    name: 'push_complete_together',
    text: TOGETHER,
    callerOf: ({ author }) => author,
    valuesOf,
    answerOf: (_completion, rows) => new Map(rows.map((row) => [row.mutation_id, row.outcome])),
    fits: fitsTogether(sizeOf),
  });
}

function sizeOf({ items, shown, events: { told, conflicts } }: Completion): PushSize {
  const texts = [
    told ?? '',
    ...items.map(({ outcome }) => outcome),
    ...[...shown.values()].map(({ wire }) => wire),
    ...conflicts.map(({ event }) => event),
  ];
  return { mutations: items.length, length: texts.reduce((sum, { length }) => sum + length, 0) };
}

function valuesOf(completions: readonly Completion[]): unknown[] {
  const items = completions.flatMap((one) => one.items);
  return [
    completions.map((one) => listText(one.items.flatMap(moreOf))),
    completions.map(({ events }) => events.told),
    completions.map(({ events }) => listText(events.conflicts)),
    completions.map(({ author: { tenantId, deviceId } }) =>
      partitionOf(`${tenantId}\0${deviceId}`, STREAMS.SYNC_EVENTS.partitions),
    ),
    completions.map(({ shown }) => listText([...shown.values()])),
    endsOf(completions.map((one) => one.items)),
    arrayText(items.map(({ id }) => id)),
    arrayText(items.map(({ attempt }) => attempt)),
    arrayText(items.map(({ status }) => status)),
    arrayText(items.map(({ revision }) => revision)),
    completions.map((one) => one.items.map(({ outcome }) => outcome).join('\n')).join(PUSH_SEPARATOR),
  ];
}

function moreOf({ more }: CompletionItem, index: number): object[] {
  const says = Object.values(more).some((value) => value !== undefined);
  return says ? [{ place: index + 1, ...more }] : [];
}

function listText(list: readonly unknown[]): string | null {
  return list.length === 0 ? null : JSON.stringify(list);
}
