import Type from 'typebox';
import { counterOf, deviceReplica, type VectorClock } from '@sync/vector-clock';
import { claimedClock, correctOccurredAtMs, shorten, readJson } from '@sync/domain';
import { findUnstorable, LIMITS, LocalMutation, validator } from '@sync/protocol';
import type { EntityAddress } from '../../read-model/entity-address.ts';
import { canonicalPayload, type CanonicalPayload } from './canonical-payload.ts';
import { identifyChange, textIdentity, type IdentifiedChange } from './change-identity.ts';

/** A LocalMutation with everything that can be known without asking anybody. */
export interface PreparedMutation extends LocalMutation, IdentifiedChange {
  readonly baseClock: VectorClock;
  /**
   * Which change of its device it is: one more than `baseClock` counts, unless it was given another number.
   */
  readonly counter: number;
  /** `baseClock` with the device's entry at `counter`, where there is room for it. */
  readonly clock: VectorClock;
  readonly dependsOn: string[];
  /** In server time, epoch milliseconds. */
  readonly occurredAtMs: number;
}

/** A refusal by sync-service itself: an outcome code and, for people, what is wrong. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** One element of a push: a mutation that can be handled, or the reason why not. */
export type Prepared = {
  readonly mutationId: string;
  /** Which change it is, for `sameChange`; of what cannot be handled its whole text. */
  readonly identity: string;
  /** null when not even that can be read. */
  readonly address: EntityAddress | null;
  /**
   * Which change of its device it is or would have been: later ones count it, refused or not. Null when that
   * cannot be read.
   */
  readonly counter: number | null;
  /** Null when that cannot be read. A number is used by what cannot be handled, too (PUSH-18). */
  readonly sequence: number | null;
} & (
  | { readonly mutation: PreparedMutation; readonly payload: string; readonly refusal: null }
  | { readonly mutation: null; readonly payload: null; readonly refusal: Refusal }
);

/** What all mutations of a push have in common. */
export interface PushMoment {
  readonly userId: string;
  readonly deviceId: string;
  readonly sentAtMs: number | null;
  readonly serverNowMs: number;
}

/** What the envelope's check leaves to be looked at. */
type SentElement = Readonly<Record<string, unknown>> & { readonly mutationId: string };

const checkMutation = validator(LocalMutation);
const checkBaseClock = validator(Type.Pick(LocalMutation, ['baseClock']));
const checkSequence = validator(Type.Pick(LocalMutation, ['sequence']));
const checkAddress = validator(Type.Pick(LocalMutation, ['scope', 'entityType', 'entityId']));

/**
 * Checks one element of a push by itself; whatever is wrong with it concerns no other.
 * @param sent an object with a valid mutationId and op (the envelope was checked)
 * @param suspicious the body holds something that parses but must not be stored
 */
export function prepareMutation(sent: SentElement, moment: PushMoment, suspicious: boolean): Prepared {
  const raw = withLowerCaseIds(sent);
  const unstorable = suspicious ? findUnstorable(raw) : null;
  // What is refused anyway needs no tag, and of a number out of range RFC 8785 has no text for one.
  const canonical = canonicalPayload(unstorable ? { ...raw, tag: undefined } : raw);
  const { mutationId } = raw;
  const read = readElement(raw, canonical, moment, unstorable);
  if (!('code' in read)) {
    const { identity, counter, sequence } = read;
    const payload = canonical.text;
    return { mutationId, identity, address: read, counter, sequence, mutation: read, payload, refusal: null };
  }
  const address = checkAddress(raw);
  const base = checkBaseClock(raw);
  const numbered = checkSequence(raw);
  return {
    mutationId,
    identity: textIdentity(canonical.text),
    address: address.ok ? address.value : null,
    counter: base.ok ? counterOf(base.value.baseClock ?? {}, deviceReplica(moment.deviceId)) + 1 : null,
    sequence: numbered.ok ? numbered.value.sequence : null,
    mutation: null,
    payload: null,
    refusal: read,
  };
}

const CAPITAL = /[A-F]/;

/**
 * From here on two spellings of one UUID are one id: for the hash, the ledger, lanes and dependencies. Ids of
 * entities are opaque and stay as they are.
 */
function withLowerCaseIds(sent: SentElement): SentElement {
  const { mutationId, dependsOn } = sent;
  const list = Array.isArray(dependsOn) ? (dependsOn as readonly unknown[]) : [];
  if (!CAPITAL.test(mutationId) && !list.some((id) => typeof id === 'string' && CAPITAL.test(id)))
    return sent;
  const lower = (id: unknown): unknown => (typeof id === 'string' ? id.toLowerCase() : id);
  return {
    ...sent,
    mutationId: mutationId.toLowerCase(),
    ...(list.length > 0 ? { dependsOn: list.map(lower) } : {}),
  };
}

function readElement(
  raw: unknown,
  payload: CanonicalPayload,
  moment: PushMoment,
  unstorable: ReturnType<typeof findUnstorable>,
): PreparedMutation | Refusal {
  const checked = checkMutation(raw);
  if (!checked.ok)
    return invalid(checked.faults[0]?.path ?? '', checked.faults[0]?.message ?? 'is malformed');
  if (unstorable) return invalid(unstorable.path, unstorable.message);
  if (payload.unknownLength > MAX_UNKNOWN_LENGTH) return invalid('', UNKNOWN_TOO_LONG);
  return faultOfContent(checked.value, payload.text) ?? readMutation(checked.value, payload.data, moment);
}

/** What a tag covers is stored with it, also fields that mean nothing here. */
const MAX_UNKNOWN_LENGTH = 4_096;
const UNKNOWN_TOO_LONG = `fields without a meaning have more than ${MAX_UNKNOWN_LENGTH} characters beside a tag`;

/** The mutation of a stored payload; it was prepared once, so it cannot fail. */
export function restoreMutation(
  payload: string,
  author: Pick<PushMoment, 'userId' | 'deviceId'>,
  occurredAtMs: number,
): PreparedMutation | null {
  const checked = checkMutation(readJson(payload));
  if (!checked.ok) return null;
  const { userId, deviceId } = author;
  // It was stored canonical, and is read in that order.
  const data = JSON.stringify(checked.value.data ?? null);
  const read = readMutation(checked.value, data, {
    ...{ userId, deviceId, sentAtMs: null, serverNowMs: occurredAtMs },
  });
  return 'code' in read ? null : { ...read, occurredAtMs };
}

/** @param data its canonical JSON */
function readMutation(mutation: LocalMutation, data: string, moment: PushMoment): PreparedMutation | Refusal {
  const wallMs = parseTimestampMs(mutation.occurredAt);
  if (wallMs === null) return invalid('/occurredAt', 'no such time');
  const { sentAtMs, serverNowMs } = moment;
  const baseClock: VectorClock = mutation.baseClock ?? {};
  const { deviceId } = moment;
  const counter = counterOf(baseClock, deviceReplica(deviceId)) + 1;
  if (counter > Number.MAX_SAFE_INTEGER)
    return { code: 'clock_limit_exceeded', message: '/baseClock: the device’s counter cannot go higher' };
  return {
    ...mutation,
    baseClock,
    counter,
    clock: claimedClock({ baseClock, deviceId }),
    dependsOn: mutation.dependsOn ?? [],
    occurredAtMs: correctOccurredAtMs({ occurredAtMs: wallMs, sentAtMs, serverNowMs }),
    ...identifyChange(moment.userId, mutation, data, wallMs),
  };
}

/** What the schema cannot say: which op carries what, and how large it may be. */
function faultOfContent({ op, data, update }: LocalMutation, text: string): Refusal | null {
  if (op === 'merge') {
    if (update === undefined || update === '') return invalid('/update', 'merge needs an update');
    return update.length > LIMITS.updateLength ? UPDATE_TOO_LARGE : null;
  }
  if (op === 'delete') return null;
  if (data === undefined || data === null) return invalid('/data', `${op} needs an object`);
  // In field writes the empty name stands for the entity as a whole.
  if (Object.hasOwn(data, '')) return invalid('/data/', 'a field needs a name');
  // A character is at most three bytes of UTF-8, so a short text needs no measuring.
  if (text.length * 3 <= LIMITS.mutationBytes) return null;
  const bytes = Buffer.byteLength(JSON.stringify(data));
  return bytes > LIMITS.mutationBytes ? invalid('/data', `larger than ${LIMITS.mutationBytes} bytes`) : null;
}

/** The code that owners have for it. No record could keep so much, so the answer says how to go on. */
const UPDATE_TOO_LARGE: Refusal = {
  code: 'update_too_large',
  message:
    `/update: longer than ${LIMITS.updateLength} characters: insert it in parts, ` +
    'each an update of its own, in a session with a fresh clientID',
};

function invalid(path: string, message: string): Refusal {
  return { code: 'mutation_invalid', message: shorten(`${path}: ${message}`, 1000) };
}

/** RFC 3339 to epoch milliseconds; a leap second counts as the second before it, as in POSIX. */
export function parseTimestampMs(text: string): number | null {
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  const leapMs = Date.parse(text.replace(/:60(?=[.Z+-])/, ':59'));
  return Number.isNaN(leapMs) ? null : leapMs;
}
