import { type AGAIN, GroupedCalls } from '@sync/messaging';
import { type Database, retryConflicts } from '@sync/postgres';
import type { DeviceKey } from '../access/device-bindings.ts';
import { type GroupedRow, GROUPING, rowsByCall } from '../database/grouped-rows.ts';
import type { CursorPosition } from '../pull/cursor-token.ts';

/** One acked cursor. */
export interface AckedCursor {
  readonly scope: string;
  readonly position: CursorPosition;
  /** The device's own digest as of the cursor, if it told one. */
  readonly digest: { readonly count: number; readonly hash: string } | undefined;
}

export interface AckRow {
  readonly kind: 'cursor' | 'resync' | 'mismatch';
  readonly scope: string;
  readonly result: 'advanced' | 'unchanged' | 'stale' | null;
}

/** What a device has stored, and how far the server may go in answering it. */
export interface AckInput {
  readonly cursors: readonly AckedCursor[];
  /** Outcomes the device has stored, by mutationId. */
  readonly outcomes: readonly string[];
  /** Revoked scopes the device has removed. */
  readonly purged: readonly string[];
  /** Full resyncs that may be asked for at most. */
  readonly maxResyncs: number;
  /** Of SYNC_EVENTS. */
  readonly partition: number;
}

/** What goes through one call of `ack_together`, at the most. */
const GROUP = { acks: 32, elements: 1_000 } as const;

const ALONE = 'SELECT * FROM ack($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';
const TOGETHER =
  'SELECT * FROM ack_together($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)';

interface AckOf {
  readonly device: DeviceKey;
  readonly input: AckInput;
}

/** Acks in one round trip, those that come at the same time in the same one; `ack.sql` describes the rows. */
export class AckStore {
  readonly #database: Pick<Database, 'call'>;
  readonly #calls: GroupedCalls<AckOf, readonly AckRow[]>;

  constructor(database: Pick<Database, 'call'>) {
    this.#database = database;
    this.#calls = new GroupedCalls({
      together: (acks) => this.#writeTogether(acks),
      // Two acks of one device at once may lock its rows in different orders; everything in them can be
      // repeated.
      alone: (ack) => retryConflicts(() => this.#writeAlone(ack)),
      fits,
      ...GROUPING,
    });
  }

  /** @throws the driver's error */
  write(device: DeviceKey, input: AckInput): Promise<readonly AckRow[]> {
    return this.#calls.do({ device, input });
  }

  #writeAlone({ device, input }: AckOf): Promise<AckRow[]> {
    const { tenantId, userId, deviceId } = device;
    const { cursors, outcomes, purged, maxResyncs, partition } = input;
    return this.#database.call<AckRow>('ack', ALONE, [
      ...[tenantId, userId, deviceId, ...columnsOf(cursors), outcomes, purged, maxResyncs, partition],
    ]);
  }

  async #writeTogether(acks: readonly AckOf[]): Promise<(readonly AckRow[] | typeof AGAIN)[]> {
    const inputs = acks.map(({ input }) => input);
    const rows = await this.#database.call<AckRow & GroupedRow>('ack_together', TOGETHER, [
      ...(['tenantId', 'userId', 'deviceId'] as const).map((key) => acks.map(({ device }) => device[key])),
      ...(['cursors', 'outcomes', 'purged'] as const).map((key) => endsOf(inputs.map((input) => input[key]))),
      inputs.map(({ maxResyncs }) => maxResyncs),
      inputs.map(({ partition }) => partition),
      ...columnsOf(inputs.flatMap(({ cursors }) => cursors)),
      inputs.flatMap(({ outcomes }) => outcomes),
      inputs.flatMap(({ purged }) => purged),
    ]);
    return rowsByCall(rows, acks.length);
  }
}

function fits(before: readonly AckOf[], next: AckOf): boolean {
  const elements = [...before, next].reduce(
    (sum, { input: { cursors, outcomes, purged } }) => sum + cursors.length + outcomes.length + purged.length,
    0,
  );
  return before.length < GROUP.acks && elements <= GROUP.elements;
}

/** How many elements there are up to the end of each list. */
function endsOf(lists: readonly (readonly unknown[])[]): number[] {
  let until = 0;
  return lists.map(({ length }) => (until += length));
}

/** One array per property of the cursors. */
function columnsOf(cursors: readonly AckedCursor[]): unknown[][] {
  return [
    cursors.map(({ scope }) => scope),
    cursors.map(({ position }) => position.origin),
    cursors.map(({ position }) => position.epoch),
    cursors.map(({ position }) => position.sequence),
    cursors.map(({ position }) => position.generation),
    cursors.map(({ digest }) => digest?.count ?? null),
    cursors.map(({ digest }) => digest?.hash ?? null),
  ];
}
