import { isStorableJson, POLICIES } from '@sync/domain';
import { findUnstorable } from '@sync/protocol';
import type { EntityDefinition } from '../entity-definition.ts';
import type { EntityData } from '../entity-store.ts';
import { reject, type Rejected } from '../handler-answer.ts';

/**
 * The most bytes of one entity as JSON text. A message carries at least one event, and NATS takes 1 MiB: what
 * is left is for two clocks at their limit (64 KiB each) and the envelope.
 */
export const MAX_ENTITY_BYTES = 720 * 1024;

/** A delta has 940,000 bytes; the rest is for two clocks and names. */
const MAX_BYTES_WITH_WRITES = 880_000;
/** The longest `{"atMs":…,"by":"d:…","counter":…}` with its punctuation. */
const WRITE_BYTES = 136;
/** Smaller data needs no counting: its shortest fields have five bytes, `"":0,`. */
const COUNTED_BYTES = Math.floor(MAX_BYTES_WITH_WRITES / (2 + WRITE_BYTES / 5));

/**
 * What a message carries of an entity whose fields are compared: its data, and again the name of each field
 * with who wrote it last.
 */
function bytesWithWrites(data: EntityData, json: string): number {
  if (json.length < COUNTED_BYTES) return 0;
  const names = Object.keys(data);
  const nameBytes = names.reduce((sum, name) => sum + Buffer.byteLength(JSON.stringify(name)), 0);
  return Buffer.byteLength(json) + nameBytes + names.length * WRITE_BYTES;
}

/**
 * Data that the database would refuse is answered here: thrown at the insert, it would take the whole batch
 * with it.
 * @param json `data` as text
 */
export function refuseData(
  data: EntityData | null,
  json: string | null,
  policy: EntityDefinition['policy'],
  maxBytes = MAX_ENTITY_BYTES,
): Rejected | null {
  if (data === null || json === null) return null;
  // UTF-16 units first: counting bytes of every small entity costs more than it finds.
  if (json.length * 3 > maxBytes && Buffer.byteLength(json) > maxBytes) {
    return reject('data_too_large', `An entity has at most ${maxBytes} bytes as JSON`);
  }
  if (POLICIES[policy].comparesFields && bytesWithWrites(data, json) > MAX_BYTES_WITH_WRITES) {
    return reject('data_too_large', 'An entity with so many fields fits no message: group them into objects');
  }
  if (isStorableJson(json)) return null;
  const fault = findUnstorable(data);
  return fault && reject('data_invalid', `${fault.path}: ${fault.message}`);
}
