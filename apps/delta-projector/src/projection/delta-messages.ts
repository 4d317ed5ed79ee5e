import { partitionOf, type OutboxRow } from '@sync/messaging';
import { joinDeltaLines, STREAMS, type GrantChange, type ScopeHead } from '@sync/protocol';
import { digestHex, modulo, scopeKey, type ScopeChange } from './scope-changes.ts';
import type { RenderedChange } from './render-change.ts';

/** A scope's head row after the batch. */
export interface ScopePosition {
  readonly epoch: string;
  /** Position of the batch's last delta in the scope. */
  readonly sequence: bigint;
  readonly count: number;
  readonly digest: bigint;
}

const STREAM = STREAMS.DELTAS;
/** Small messages keep the gateways' transactions and everybody's latency short. */
const MAX_ITEMS_PER_MESSAGE = 500;
const MAX_MESSAGE_BYTES = 512 * 1024;

/**
 * Packs what a batch changed into messages of DELTAS (`DeltaBatch` as text): every scope goes to one
 * partition, its deltas in sequence order. A message is complete in itself: its scope heads stand at its own
 * last delta, so a gateway that has stored it may give that position and that digest to devices at once, even
 * if the scope goes on in the next message.
 *
 * @param positions by `scopeKey`
 */
export function deltaMessages(
  origin: string,
  changes: readonly ScopeChange[],
  positions: ReadonlyMap<string, ScopePosition>,
  grants: readonly GrantChange[],
): OutboxRow[] {
  const packers = new Map<number, DeltaPacker>();
  const packerOf = (tenantId: string, scope: string): DeltaPacker => {
    const partition = partitionOf(scopeKey(tenantId, scope), STREAM.partitions);
    let packer = packers.get(partition);
    if (packer === undefined) packers.set(partition, (packer = new DeltaPacker(origin, partition)));
    return packer;
  };
  for (const change of changes) {
    const position = positions.get(scopeKey(change.tenantId, change.scope));
    if (position === undefined) throw new Error(`Scope ${change.scope} got no position`);
    packerOf(change.tenantId, change.scope).addScope(change, position);
  }
  // With the user's own scope, so that all grants of one user come in order.
  for (const grant of grants) packerOf(grant.tenantId, `user:${grant.userId}`).addGrant(grant);
  return [...packers.values()].flatMap((packer) => packer.end());
}

/** Who holds a scope because of these entities, and who no longer does. */
export function grantChanges(changes: readonly RenderedChange[]): GrantChange[] {
  return changes.flatMap(({ change, granted, revoked }) => {
    if (granted.length === 0 && revoked.length === 0) return [];
    const { tenantId, entityType: sourceType, entityId: sourceId, after } = change;
    const source = { tenantId, sourceType, sourceId, revision: after.revision };
    return [
      ...revoked.map(({ scope, userId }) => ({ ...source, userId, scope, granted: false })),
      ...granted.map(({ scope, userId }) => ({ ...source, userId, scope, granted: true })),
    ];
  });
}

/** The messages of one partition. */
class DeltaPacker {
  readonly #origin: string;
  readonly #partition: number;
  readonly #rows: OutboxRow[] = [];
  #scopes: string[] = [];
  #deltas: string[] = [];
  #wires: string[] = [];
  #grants: string[] = [];
  #newestMs = -Infinity;
  #bytes = 0;

  constructor(origin: string, partition: number) {
    this.#origin = origin;
    this.#partition = partition;
  }

  addScope(change: ScopeChange, { epoch, ...after }: ScopePosition): void {
    const { tenantId, scope, deltas } = change;
    const names = `"tenantId":${JSON.stringify(tenantId)},"scope":${JSON.stringify(scope)}`;
    const marked = deltas.some(({ text }) => text.ofDocument) ? { documents: true } : {};
    let sequence = after.sequence - BigInt(deltas.length);
    let count = after.count - change.count;
    let digest = modulo(after.digest - change.digest);
    const headJson = (): string => {
      const head = { tenantId, scope, epoch, sequence: String(sequence), count, hash: digestHex(digest) };
      return JSON.stringify({ ...head, ...marked } satisfies ScopeHead);
    };
    for (const [at, delta] of deltas.entries()) {
      const { tail, wire } = delta.text;
      const json = `{${names},"sequence":"${sequence + 1n}",${tail}`;
      const bytes = Buffer.byteLength(json) + Buffer.byteLength(wire);
      if (!this.#fits(bytes)) {
        if (at > 0) this.#scopes.push(headJson());
        this.#close();
      }
      this.#deltas.push(json);
      this.#wires.push(wire);
      this.#newestMs = Math.max(this.#newestMs, delta.committedAtMs ?? -Infinity);
      this.#bytes += bytes + 2;
      sequence += 1n;
      count += delta.count;
      digest = modulo(digest + delta.digest);
    }
    const json = headJson();
    if (deltas.length === 0 && this.#bytes + json.length > MAX_MESSAGE_BYTES) this.#close();
    this.#scopes.push(json);
    this.#bytes += json.length + 1;
  }

  addGrant(grant: GrantChange): void {
    const json = JSON.stringify(grant);
    if (!this.#fits(json.length)) this.#close();
    this.#grants.push(json);
    this.#bytes += json.length + 1;
  }

  end(): readonly OutboxRow[] {
    if (this.#scopes.length + this.#deltas.length + this.#grants.length > 0) this.#close();
    return this.#rows;
  }

  #fits(bytes: number): boolean {
    const items = this.#deltas.length + this.#grants.length;
    return items === 0 || (items < MAX_ITEMS_PER_MESSAGE && this.#bytes + bytes < MAX_MESSAGE_BYTES);
  }

  #close(): void {
    const committedAt = this.#newestMs === -Infinity ? null : new Date(this.#newestMs).toISOString();
    const envelope = JSON.stringify({ origin: this.#origin, committedAt }).slice(0, -1);
    const head = `${envelope},"scopes":[${this.#scopes.join(',')}],"grants":[${this.#grants.join(',')}]}`;
    const payload = joinDeltaLines({ head, deltas: `[${this.#deltas.join(',')}]`, wires: this.#wires });
    this.#rows.push({ stream: STREAM.name, partition: this.#partition, payload });
    this.#scopes = [];
    this.#deltas = [];
    this.#wires = [];
    this.#grants = [];
    this.#newestMs = -Infinity;
    this.#bytes = 0;
  }
}
