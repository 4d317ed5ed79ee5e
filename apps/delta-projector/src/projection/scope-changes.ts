import { hash } from 'node:crypto';
import { entityDigestInput } from '@sync/domain';
import type { VectorClock } from '@sync/vector-clock';
import type { DeltaText, RenderedChange } from './render-change.ts';

const MODULUS = 1n << 256n;

/** One delta of a scope, without its position. */
export interface ScopeDelta {
  readonly text: DeltaText;
  /** When its owner committed it; null where that says nothing about how long deltas take on their way. */
  readonly committedAtMs: number | null;
  /** What it does to the scope's live count: -1, 0 or 1. */
  readonly count: number;
  /** What it adds to the scope's digest, modulo 2^256, not negative. */
  readonly digest: bigint;
}

/** What a batch does to one scope. */
export interface ScopeChange {
  readonly tenantId: string;
  readonly scope: string;
  /** In the order in which they get their positions. */
  readonly deltas: readonly ScopeDelta[];
  readonly count: number;
  readonly digest: bigint;
}

interface OpenScope {
  readonly tenantId: string;
  readonly scope: string;
  readonly deltas: ScopeDelta[];
  count: number;
  digest: bigint;
}

/** A scope across tenants. No part can hold a NUL character. */
export function scopeKey(tenantId: string, scope: string): string {
  return `${tenantId}\0${scope}`;
}

/**
 * Distributes the changes of a batch over their scopes, with what each does to count and digest.
 *
 * @param isNews they come from events as they happen; the age of what a snapshot or a replay brings would
 * look like an outage
 */
export function scopeChanges(changes: readonly RenderedChange[], isNews: boolean): ScopeChange[] {
  const open = new Map<string, OpenScope>();
  for (const { change, present, absent } of changes) {
    const { tenantId, entityType, entityId, before, after, left } = change;
    const committedAtMs = isNews ? change.committedAtMs : null;
    const held = new Set(before?.scopes);
    const removed = before === null || held.size === 0 ? 0n : hashOf(entityType, entityId, before.clock);
    const added = after.scopes.length === 0 ? 0n : hashOf(entityType, entityId, after.clock);
    const add = (scope: string, delta: Omit<ScopeDelta, 'committedAtMs'>): void => {
      addDelta(open, tenantId, scope, { ...delta, committedAtMs });
    };
    for (const scope of after.scopes) {
      if (present === null) break;
      const wasThere = held.has(scope);
      const digest = modulo(wasThere ? added - removed : added);
      add(scope, { text: present, count: wasThere ? 0 : 1, digest });
    }
    for (const scope of left) {
      if (absent === null) break;
      const wasThere = held.has(scope);
      add(scope, { text: absent, count: wasThere ? -1 : 0, digest: wasThere ? modulo(-removed) : 0n });
    }
  }
  return [...open.values()];
}

function addDelta(open: Map<string, OpenScope>, tenantId: string, scope: string, delta: ScopeDelta): void {
  const key = scopeKey(tenantId, scope);
  const known = open.get(key);
  if (known === undefined) {
    const { count, digest } = delta;
    open.set(key, { tenantId, scope, deltas: [delta], count, digest });
    return;
  }
  known.deltas.push(delta);
  known.count += delta.count;
  known.digest = modulo(known.digest + delta.digest);
}

/** What one live entity contributes to the digest of each of its scopes (protocol v1, pull). */
export function hashOf(entityType: string, entityId: string, clock: VectorClock): bigint {
  return BigInt(`0x${hash('sha256', entityDigestInput(entityType, entityId, clock), 'hex')}`);
}

/** The non-negative remainder modulo 2^256: `%` of a negative bigint is negative. */
export function modulo(value: bigint): bigint {
  const rest = value % MODULUS;
  return rest < 0n ? rest + MODULUS : rest;
}

/** A digest on the wire: 64 lower-case hex digits. */
export function digestHex(value: bigint): string {
  return value.toString(16).padStart(64, '0');
}
