import { readJson } from '@sync/domain';
import type { FieldWrites } from '@sync/domain';
import {
  DEVICE_ID_PATTERN,
  DomainEvent,
  FieldWrites as FieldWritesSchema,
  findUnstorable,
  MESSAGE_DEPTH,
  parseJson,
  SERVICE_PATTERN,
  TENANT_ID_PATTERN,
  validator,
} from '@sync/protocol';
import { parseClock, type VectorClock } from '@sync/vector-clock';

/** A domain event that can be projected as far as its form goes. */
export interface ReadableEvent {
  readonly kind: 'readable';
  readonly event: DomainEvent;
  readonly timeMs: number;
  readonly clock: VectorClock | null;
  readonly mutationClock: VectorClock | null;
  readonly decidedWrites: FieldWrites | null;
}

/** What identifies an event, as far as it can be read. */
export interface EventIdentity {
  readonly tenantId: string | null;
  readonly eventId: string | null;
  readonly entityType: string | null;
  readonly entityId: string | null;
  readonly revision: number | null;
}

/** An event that is poison by its form alone. `text` is JSON text of what came. */
export interface FaultyEvent extends EventIdentity {
  readonly kind: 'faulty';
  readonly code: 'malformed_json' | 'limit_exceeded' | 'event_invalid' | 'event_unstorable' | 'clock_invalid';
  readonly cause: string;
  readonly text: string;
}

export type ReadEvent = ReadableEvent | FaultyEvent;

const checkEvent = validator(DomainEvent);
const checkWrites = validator(FieldWritesSchema);
const TENANT_ID = new RegExp(TENANT_ID_PATTERN);
// `libs/vector-clock` lets a replica id be nearly any text; what goes to devices must keep to the narrower
// rule of the wire.
const DEVICE_REPLICA = new RegExp(DEVICE_ID_PATTERN.replace('^', '^d:'));
const SERVICE_REPLICA = new RegExp(SERVICE_PATTERN.replace('^', '^s:'));
const CLOUD_EVENTS_PREFIX = 'ce-';
const MAX_IDENTITY_LENGTH = 200;

/**
 * Reads the events of one message: a JSON array of CloudEvents (what the owner SDK sends), one CloudEvent, or
 * a CloudEvent in binary mode (attributes in `ce-…` headers, the payload is `data`).
 *
 * One bad event never costs its neighbours: the whole text is parsed once, and only when that fails or
 * something suspicious was seen is each event looked at on its own.
 */
export function readEvents(payload: string, headers: Readonly<Record<string, string>> = {}): ReadEvent[] {
  const attributes = attributesOf(headers);
  if (attributes !== null) return [readBinaryMode(payload, attributes)];
  const parsed = parseJson(payload, MESSAGE_DEPTH);
  if (parsed.ok) return elementsOf(parsed.value).map((value) => readEvent(value, parsed.suspicious));
  if (parsed.code !== 'limit_exceeded') return [faulty(payload, parsed.code, parsed.detail)];
  return readTooDeep(payload, parsed.detail);
}

/**
 * Reads one event that is JSON already.
 * @param suspicious whether it may hold what no database stores (see `parseJson`)
 */
export function readEvent(value: unknown, suspicious: boolean): ReadEvent {
  const unstorable = suspicious ? findUnstorable(value) : null;
  if (unstorable !== null)
    return faulty(value, 'event_unstorable', `${unstorable.path} ${unstorable.message}`);
  const checked = checkEvent(value);
  if (!checked.ok) {
    const faults = checked.faults.map(({ path, message }) => `${path} ${message}`);
    return faulty(value, 'event_invalid', faults.join('; '));
  }
  const event = checked.value;
  const clock = readClock(event.entityclock);
  if (typeof clock === 'string') return faulty(value, 'clock_invalid', `/entityclock${clock}`);
  const mutationClock = readClock(event.mutationclock);
  if (typeof mutationClock === 'string')
    return faulty(value, 'clock_invalid', `/mutationclock${mutationClock}`);
  const decidedWrites = readWrites(event.mutationwrites);
  if (typeof decidedWrites === 'string')
    return faulty(value, 'event_invalid', `/mutationwrites${decidedWrites}`);
  return { kind: 'readable', event, timeMs: Date.parse(event.time), clock, mutationClock, decidedWrites };
}

function elementsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

/**
 * @returns the clock, null when there is none, or what is wrong with it, as text that starts with its path
 */
function readClock(text: string | undefined): VectorClock | string | null {
  if (text === undefined) return null;
  const parsed = parseJson(text, 1);
  if (!parsed.ok) return ` ${parsed.detail}`;
  const result = parseClock(parsed.value);
  if (!result.ok) return `${result.path} ${result.reason}`;
  const odd = Object.keys(result.clock).find((id) => !DEVICE_REPLICA.test(id) && !SERVICE_REPLICA.test(id));
  return odd === undefined ? result.clock : ` has a key that names neither a device nor a service: ${odd}`;
}

/**
 * @returns the writes, null when there are none, or what is wrong with them, as text that starts with the
 * path
 */
function readWrites(text: string | undefined): FieldWrites | string | null {
  if (text === undefined) return null;
  const parsed = parseJson(text, 3);
  if (!parsed.ok) return ` ${parsed.detail}`;
  const unstorable = parsed.suspicious ? findUnstorable(parsed.value) : null;
  if (unstorable !== null) return `${unstorable.path} ${unstorable.message}`;
  const checked = checkWrites(parsed.value);
  if (checked.ok) return checked.value;
  const [fault] = checked.faults;
  return `${fault?.path ?? ''} ${fault?.message ?? ''}`;
}

/**
 * JSON.parse itself takes any depth; stringifying one deep element may fail, and then only that one is lost
 * to a note.
 */
function readTooDeep(payload: string, detail: string): ReadEvent[] {
  let elements: readonly unknown[];
  try {
    elements = elementsOf(readJson(payload));
  } catch {
    return [faulty(payload, 'malformed_json', 'The message is not valid JSON')];
  }
  return elements.map((element) => {
    const text = jsonOf(element);
    if (text === null) return { ...faulty(null, 'limit_exceeded', detail), ...identityOf(element) };
    const alone = parseJson(text, MESSAGE_DEPTH - 1);
    return alone.ok ? readEvent(element, alone.suspicious) : faulty(element, alone.code, alone.detail);
  });
}

function attributesOf(headers: Readonly<Record<string, string>>): Record<string, string> | null {
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (lower.startsWith(CLOUD_EVENTS_PREFIX)) attributes[lower.slice(CLOUD_EVENTS_PREFIX.length)] = value;
  }
  return Object.hasOwn(attributes, 'specversion') ? attributes : null;
}

function readBinaryMode(payload: string, attributes: Readonly<Record<string, string>>): ReadEvent {
  const numbers = Object.fromEntries(
    ['revision', 'schemaversion']
      .filter((name) => Object.hasOwn(attributes, name))
      .map((name) => [name, Number(attributes[name])]),
  );
  const parsed = parseJson(payload === '' ? 'null' : payload, MESSAGE_DEPTH - 1);
  if (!parsed.ok)
    return { ...faulty(payload, parsed.code, parsed.detail), ...identityOf({ ...attributes, ...numbers }) };
  return readEvent({ ...attributes, ...numbers, data: parsed.value }, parsed.suspicious);
}

function faulty(value: unknown, code: FaultyEvent['code'], cause: string): FaultyEvent {
  return { kind: 'faulty', ...identityOf(value), code, cause, text: jsonOf(value) ?? 'null' };
}

/**
 * JSON text of any parsed value, without what Postgres' `text` refuses: JSON.stringify escapes NUL and lone
 * surrogates.
 * @returns null when it is nested too deeply to be written
 */
function jsonOf(value: unknown): string | null {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Whatever can be told of an event that failed: enough to list it, and to hold back its entity. */
function identityOf(value: unknown): EventIdentity {
  const { tenantid, id, entitytype, entityid, revision } = (
    typeof value === 'object' && value !== null ? value : {}
  ) as Readonly<Record<'tenantid' | 'id' | 'entitytype' | 'entityid' | 'revision', unknown>>;
  return {
    tenantId: typeof tenantid === 'string' && TENANT_ID.test(tenantid) ? tenantid : null,
    eventId: shortText(id),
    entityType: shortText(entitytype),
    entityId: shortText(entityid),
    revision:
      typeof revision === 'number' && Number.isSafeInteger(revision) && revision >= 0 ? revision : null,
  };
}

function shortText(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MAX_IDENTITY_LENGTH) return null;
  return value.isWellFormed() && !value.includes('\u0000') ? value : null;
}
