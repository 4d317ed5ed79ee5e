import { AGAIN, GroupedCalls, partitionOf } from '@sync/messaging';
import { arrayText, type Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import { type GroupedRow, GROUPING, rowsByCall } from '../../database/grouped-rows.ts';
import type { Author } from '../outcome/settlement.ts';
import type { CompletionEvents } from './completion-events.ts';
import type { Completion } from './completion.ts';
import { GROUP, PUSH_SEPARATOR } from './push-groups.ts';

/** A push, or a run of the dispatcher over one device, with what came of it. */
interface Completing {
  readonly author: Author;
  readonly completion: Completion;
  readonly events: CompletionEvents;
}

/** What somebody else had stored before, by mutationId; null: still open. */
type StoredBefore = ReadonlyMap<string, string | null>;

/** See push-complete.sql. */
interface StoredRow {
  readonly mutation_id: string;
  readonly outcome: string | null;
}

/** Last round trip of pushes: `push_complete`, for pushes that end at the same time once for all of them. */
export class CompletePushes {
  readonly #database: Pick<Database, 'call'>;
  readonly #calls: GroupedCalls<Completing, StoredBefore>;

  constructor(database: Pick<Database, 'call'>) {
    this.#database = database;
    this.#calls = new GroupedCalls({
      together: (completings) => this.#completeTogether(completings),
      alone: (completing) => this.#completeAlone(completing),
      fits,
      ...GROUPING,
    });
  }

  /**
   * Stores outcomes and their sync events.
   * @throws the driver's error; `SENT_TWICE` as its SQLSTATE, and nothing is stored
   */
  complete(author: Author, completion: Completion, events: CompletionEvents): Promise<StoredBefore> {
    return this.#calls.do({ author, completion, events });
  }

  async #completeAlone({ author, completion, events }: Completing): Promise<StoredBefore> {
    const { ids, attempts, statuses, revisions } = columnsOf(completion.items);
    const { more, told, conflicts, partition, shown } = partsOf({ author, completion, events });
    const rows = await this.#database.call<StoredRow>('push_complete', ALONE, [
      ...[author.tenantId, author.deviceId, ids, attempts, statuses, more],
      ...[completion.outcomes.join('\n'), told, conflicts, partition, author.userId, revisions, shown],
    ]);
    return storedOf(rows);
  }

  async #completeTogether(completings: readonly Completing[]): Promise<(StoredBefore | typeof AGAIN)[]> {
    let until = 0;
    const parts = completings.map(partsOf);
    const { ids, attempts, statuses, revisions } = columnsOf(
      completings.flatMap(({ completion }) => completion.items),
    );
    const rows = await this.#database.call<StoredRow & GroupedRow>('push_complete_together', TOGETHER, [
      ...(['tenantId', 'userId', 'deviceId'] as const).map((key) =>
        completings.map(({ author }) => author[key]),
      ),
      ...(['more', 'told', 'conflicts', 'partition', 'shown'] as const).map((key) =>
        parts.map((part) => part[key]),
      ),
      completings.map(({ completion }) => (until += completion.items.length)),
      ...[ids, attempts, statuses, revisions],
      completings.map(({ completion }) => completion.outcomes.join('\n')).join(PUSH_SEPARATOR),
    ]);
    return rowsByCall(rows, completings.length).map((own) => (own === AGAIN ? AGAIN : storedOf(own)));
  }
}

const ALONE = 'SELECT * FROM push_complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)';
/** See push-complete-together.sql. */
const TOGETHER =
  'SELECT * FROM push_complete_together($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';

function fits(before: readonly Completing[], next: Completing): boolean {
  if (before.length >= GROUP.pushes) return false;
  const all = [...before, next];
  const mutations = all.reduce((sum, { completion }) => sum + completion.items.length, 0);
  return mutations <= GROUP.mutations && all.reduce((sum, one) => sum + lengthOf(one), 0) <= GROUP.length;
}

function lengthOf({ completion, events }: Completing): number {
  const outcomes = completion.outcomes.reduce((sum, { length }) => sum + length, 0);
  const shown = completion.shown.reduce((sum, { wire }) => sum + wire.length, 0);
  const conflicts = events.conflicts.reduce((sum, { event }) => sum + event.length, 0);
  return outcomes + shown + conflicts + (events.told?.length ?? 0);
}

function storedOf(rows: readonly StoredRow[]): StoredBefore {
  return new Map(rows.map((row) => [row.mutation_id, row.outcome]));
}

/** The columns of mutations. */
function columnsOf(
  items: Completion['items'],
): Record<'ids' | 'attempts' | 'statuses' | 'revisions', string> {
  return {
    ids: arrayText(items.map(({ id }) => id)),
    attempts: arrayText(items.map(({ attempt }) => attempt)),
    statuses: arrayText(items.map(({ status }) => status)),
    revisions: arrayText(items.map(({ revision }) => revision ?? null)),
  };
}

/** What is said once for a push. */
function partsOf({ author, completion: { items, shown }, events: { told, conflicts } }: Completing): {
  readonly more: string | null;
  readonly told: string | null;
  readonly conflicts: string | null;
  readonly partition: number;
  readonly shown: string | null;
} {
  const more = items.flatMap(({ delayMs, mayBeSent, error, counter, shows, refusal }, index) => {
    const known = { delayMs, mayBeSent, error, counter, shows, refusal };
    const says = Object.values(known).some((value) => value !== undefined);
    return says ? [{ place: index + 1, ...known }] : [];
  });
  const textOf = (list: readonly unknown[]): string | null =>
    list.length === 0 ? null : JSON.stringify(list);
  const { tenantId, deviceId } = author;
  return {
    more: textOf(more),
    told,
    conflicts: textOf(conflicts),
    partition: partitionOf(`${tenantId}\0${deviceId}`, STREAMS.SYNC_EVENTS.partitions),
    shown: textOf(shown),
  };
}
