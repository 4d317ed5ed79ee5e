import type { GroupedCalls } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { DeviceKey } from '../access/device-bindings.ts';
import { endsOf, groupedFunction } from '../database/grouped-function.ts';
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

const TOGETHER =
  'SELECT * FROM ack_together($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)';

interface AckOf {
  readonly device: DeviceKey;
  readonly input: AckInput;
}

/** Acks in one round trip, those that come at the same time in the same one; `ack.sql` describes the rows. */
export class AckStore {
  readonly #calls: GroupedCalls<AckOf, readonly AckRow[]>;

  constructor(database: Pick<Database, 'call'>) {
    this.#calls = groupedFunction<AckOf, AckRow, readonly AckRow[]>(database, {
      name: 'ack_together',
      text: TOGETHER,
      callerOf: ({ device }) => device,
      valuesOf,
      answerOf: (_ack, rows) => rows.map(({ kind, scope, result }) => ({ kind, scope, result })),
      fits,
    });
  }

  /** @throws the driver's error */
  write(device: DeviceKey, input: AckInput): Promise<readonly AckRow[]> {
    return this.#calls.do({ device, input });
  }
}

function valuesOf(acks: readonly AckOf[]): unknown[] {
  const inputs = acks.map(({ input }) => input);
  return [
    ...(['cursors', 'outcomes', 'purged'] as const).map((key) => endsOf(inputs.map((input) => input[key]))),
    inputs.map(({ maxResyncs }) => maxResyncs),
    inputs.map(({ partition }) => partition),
    ...columnsOf(inputs.flatMap(({ cursors }) => cursors)),
    inputs.flatMap(({ outcomes }) => outcomes),
    inputs.flatMap(({ purged }) => purged),
  ];
}

function fits(before: readonly AckOf[], next: AckOf): boolean {
  const elements = [...before, next].reduce(
    (sum, { input: { cursors, outcomes, purged } }) => sum + cursors.length + outcomes.length + purged.length,
    0,
  );
  return before.length < GROUP.acks && elements <= GROUP.elements;
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
