import { ByteReader } from '../admission/byte-reader.ts';
import { RefusedUpdateError } from '../admission/refusal.ts';

/**
 * How much of each clientID's history a document has: clientID → number of clocks, absent = 0. It says
 * nothing about deletions, which every difference carries in full.
 */
export type StateVector = ReadonlyMap<number, number>;

/**
 * Reads the bytes that `Y.encodeStateVector` writes.
 * @throws RefusedUpdateError (`update_invalid`) for anything else
 */
export function decodeStateVector(bytes: Uint8Array): Map<number, number> {
  const reader = new ByteReader(bytes);
  const vector = new Map<number, number>();
  for (let clients = reader.count('clientIDs'); clients > 0; clients -= 1) {
    const client = reader.varUint();
    vector.set(client, reader.varUint());
  }
  if (reader.left > 0) throw new RefusedUpdateError('update_invalid', 'bytes follow the state vector');
  return vector;
}

/** The bytes that Yjs takes as a state vector; equal vectors give equal bytes (highest clientID first). */
export function encodeStateVector(vector: StateVector): Uint8Array {
  const entries = [...vector].filter(([, clock]) => clock > 0).sort(([a], [b]) => b - a);
  const bytes: number[] = [];
  appendVarUint(bytes, entries.length);
  for (const [client, clock] of entries) {
    appendVarUint(bytes, client);
    appendVarUint(bytes, clock);
  }
  return Uint8Array.from(bytes);
}

/** Writes lib0's variable-length number. */
export function appendVarUint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push(0x80 | (rest % 128));
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

/** What a document has after structs were added to it. */
export function advanceStateVector(
  vector: StateVector,
  runs: Iterable<{ readonly client: number; readonly to: number }>,
): Map<number, number> {
  const advanced = new Map(vector);
  for (const { client, to } of runs) advanced.set(client, Math.max(to, advanced.get(client) ?? 0));
  return advanced;
}
