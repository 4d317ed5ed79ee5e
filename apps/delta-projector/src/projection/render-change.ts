import type { ScopeGrant } from '@sync/domain';
import { canonicalClockJson } from '@sync/vector-clock';
import type { EntityChange, EventResult } from './entity-change.ts';
import { forgetRemovals } from './forget-removals.ts';

/** A delta as text, whatever its scope. */
export interface DeltaText {
  /** Everything of a ProjectedDelta behind its sequence. */
  readonly tail: string;
  /** The RemoteDelta. */
  readonly wire: string;
  /** The entity type has a document. */
  readonly ofDocument: boolean;
}

/** A change as text, each part made once however many scopes it goes to. */
export interface RenderedChange {
  readonly kind: 'rendered';
  readonly change: EntityChange;
  /** What the entity's head keeps as JSON text; empty: nothing. */
  readonly kept: { readonly clock: string; readonly data: string; readonly fieldWrites: string };
  /** For scopes that hold the entity now; null when none does, or nothing is new to them. */
  readonly present: DeltaText | null;
  /** For scopes that it has left (or that it was deleted in); null when there is none. */
  readonly absent: DeltaText | null;
  readonly granted: readonly ScopeGrant[];
  readonly revoked: readonly ScopeGrant[];
}

/** The change cannot travel; `refusal` goes to the dead letters. */
export interface OversizedChange {
  readonly kind: 'too_large';
  readonly bytes: number;
  readonly refusal: EventResult;
}

/**
 * A message carries at least one delta and must stay below the outbox's bound (960 KiB); the rest is for the
 * envelope. Mostly a matter of field writes: 100,000 tiny fields fit into an event, but not together with who
 * wrote each of them.
 */
export const MAX_DELTA_BYTES = 940_000;

/** Writes an entity's change as text: its head row, and its deltas up to their positions. */
export function renderChange(change: EntityChange): RenderedChange | OversizedChange {
  const rendered = render(change);
  if (rendered.kind === 'rendered' || !change.comparesFields) return rendered;
  const { after } = change;
  const fieldWrites = forgetRemovals(after.fieldWrites, rendered.bytes - MAX_DELTA_BYTES);
  return render({ ...change, after: { ...after, fieldWrites } });
}

function render(change: EntityChange): RenderedChange | OversizedChange {
  const { before, after, left, comparesFields } = change;
  const dataJson = JSON.stringify(after.data);
  const writesJson = comparesFields ? JSON.stringify(after.fieldWrites) : 'null';
  const clockJson = canonicalClockJson(after.clock);
  const deltaOf = (deleted: boolean): DeltaText =>
    deltaText(change, deleted, { dataJson, writesJson, clockJson });
  const present = after.scopes.length > 0 && change.concernsItsScopes ? deltaOf(false) : null;
  const absent = left.length > 0 ? deltaOf(true) : null;
  const bytes = Math.max(bytesOf(present), bytesOf(absent));
  if (bytes > MAX_DELTA_BYTES) {
    const cause = `The delta has ${bytes} bytes, at most ${MAX_DELTA_BYTES} can be sent`;
    return { kind: 'too_large', bytes, refusal: { kind: 'refused', code: 'delta_too_large', cause } };
  }
  const kept = after.deleted ? after.deletedData : after.data;
  const keepsData = comparesFields && kept !== null;
  return {
    kind: 'rendered',
    change,
    kept: {
      clock: clockJson,
      data: keepsData ? (kept === after.data ? dataJson : JSON.stringify(kept)) : '',
      fieldWrites: comparesFields ? writesJson : '',
    },
    present,
    absent,
    granted: missingFrom(after.grants, before?.grants ?? []),
    revoked: missingFrom(before?.grants ?? [], after.grants),
  };
}

/** Of one delta in a message. */
function bytesOf(delta: DeltaText | null): number {
  return delta === null ? 0 : Buffer.byteLength(delta.tail) + Buffer.byteLength(delta.wire);
}

function deltaText(
  { entityType, entityId, after, update, document, committedAtMs }: EntityChange,
  deleted: boolean,
  text: { readonly dataJson: string; readonly writesJson: string; readonly clockJson: string },
): DeltaText {
  const op = deleted ? 'delete' : update === null ? 'put' : 'merge';
  const names = `"entityType":${JSON.stringify(entityType)},"entityId":${JSON.stringify(entityId)}`;
  const made = `"schemaVersion":${after.schemaVersion},"committedAt":"${new Date(committedAtMs).toISOString()}"`;
  const shown = deleted ? 'null' : text.dataJson;
  const merged = op === 'merge' ? `,"update":${JSON.stringify(update)}` : '';
  const state = `"revision":${after.revision},"deleted":${deleted},"clock":${text.clockJson}`;
  const part = document === null ? '' : `,"document":"${deleted ? 'whole' : document}"`;
  return {
    tail: `${names},${state},"fieldWrites":${text.writesJson}${part}}`,
    wire: `{${names},"op":"${op}","clock":${text.clockJson},${made},"data":${shown}${merged}}`,
    ofDocument: document !== null,
  };
}

function missingFrom(grants: readonly ScopeGrant[], others: readonly ScopeGrant[]): readonly ScopeGrant[] {
  if (grants.length === 0) return grants;
  return grants.filter(
    ({ scope, userId }) => !others.some((other) => other.scope === scope && other.userId === userId),
  );
}
