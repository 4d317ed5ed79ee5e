import {
  canonicalJson,
  claimedClock,
  correctOccurredAtMs,
  type JsonValue,
  rfc8785Json,
  shorten,
  storableText,
} from '@sync/domain';
import { LIMITS, LocalMutation, findUnstorable, validator } from '@sync/protocol';
import { type VectorClock, counterOf, deviceReplica } from '@sync/vector-clock';
import Type from 'typebox';
import { sha256Hex } from '../server/hashes.ts';
import type { EntityAddress } from '../server/tenant.ts';

/** A mutation with all that can be known without looking at anything else. */
export interface Work {
  readonly mutation: LocalMutation & {
    readonly baseClock: VectorClock;
    readonly dependsOn: readonly string[];
  };
  /** As it was sent, where it was lifted to another schemaVersion since. */
  readonly sentData?: LocalMutation['data'];
  /** Which change it is; see `sameChange`. */
  readonly identity: string;
  readonly userId: string;
  readonly deviceId: string;
  /** Which change of its device it is. */
  readonly counter: number;
  /** Its own clock. */
  readonly clock: VectorClock;
  /** In the time of the server, epoch milliseconds. */
  readonly occurredAtMs: number;
  readonly receivedAtMs: number;
  /** The number of the push that brought it. */
  readonly push: number;
}

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** One element of a push: a mutation, or why it is none. */
export interface Element {
  readonly mutationId: string;
  readonly identity: string;
  /** As it was sent, with ids in lower case. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly address: EntityAddress | null;
  /** Which change of its device it is; null where that cannot be read. */
  readonly counter: number | null;
  readonly work: Work | null;
  readonly refusal: Refusal | null;
}

/** Whose push it is, and when it came. */
export interface PushMoment {
  readonly userId: string;
  readonly deviceId: string;
  readonly sentAtMs: number;
  readonly nowMs: number;
  readonly push: number;
}

const checkMutation = validator(LocalMutation);
const checkBaseClock = validator(Type.Pick(LocalMutation, ['baseClock']));
const checkAddress = validator(Type.Pick(LocalMutation, ['scope', 'entityType', 'entityId']));
/** Fields that mean nothing here are kept beside a tag, which covers them. */
const MAX_UNKNOWN_LENGTH = 4_096;

/** @param sent an object with a mutationId and an op; the envelope was checked */
export function readElement(sent: Readonly<Record<string, unknown>>, moment: PushMoment): Element {
  const raw = withLowerCaseIds(sent);
  const mutationId = String(raw['mutationId']);
  const addressed = checkAddress(raw);
  const address = addressed.ok ? addressed.value : null;
  const base = checkBaseClock(raw);
  const own = deviceReplica(moment.deviceId);
  const claimed = base.ok ? counterOf(base.value.baseClock ?? {}, own) + 1 : null;
  const refused = (path: string, message: string, code = 'mutation_invalid'): Element => {
    const refusal = { code, message: shorten(storableText(`${path}: ${message}`), 1_000) };
    const identity = sha256Hex(JSON.stringify(raw)).padEnd(72, '0');
    return { mutationId, identity, raw, address, counter: claimed, work: null, refusal };
  };
  const checked = checkMutation(raw);
  if (!checked.ok) {
    const [fault] = checked.faults;
    return refused(fault?.path ?? '', fault?.message ?? 'is malformed');
  }
  const unstorable = findUnstorable(raw);
  if (unstorable) return refused(unstorable.path, unstorable.message);
  const mutation = checked.value;
  const fault = faultOfContent(mutation);
  if (fault) return refused(fault.path, fault.message, fault.code);
  if (mutation.tag !== undefined && unknownLength(raw) > MAX_UNKNOWN_LENGTH)
    return refused(
      '',
      `fields without a meaning have more than ${MAX_UNKNOWN_LENGTH} characters beside a tag`,
    );
  const wallMs = Date.parse(mutation.occurredAt);
  const baseClock = mutation.baseClock ?? {};
  const counter = counterOf(baseClock, own) + 1;
  if (counter > Number.MAX_SAFE_INTEGER)
    return refused('/baseClock', 'the device’s counter cannot go higher', 'clock_limit_exceeded');
  const { userId, deviceId, sentAtMs, nowMs, push } = moment;
  const identity = identityOf(userId, mutation, wallMs);
  const times = { occurredAtMs: wallMs, sentAtMs, serverNowMs: nowMs };
  const work: Work = {
    mutation: { ...mutation, baseClock, dependsOn: mutation.dependsOn ?? [] },
    ...{ identity, userId, deviceId, counter, push, receivedAtMs: nowMs },
    clock: claimedClock({ baseClock, deviceId }),
    occurredAtMs: correctOccurredAtMs(times),
  };
  return { mutationId, identity, raw, address, counter, work, refusal: null };
}

function withLowerCaseIds(sent: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const lower = (value: unknown): unknown => (typeof value === 'string' ? value.toLowerCase() : value);
  const { mutationId, dependsOn } = sent;
  return {
    ...sent,
    mutationId: lower(mutationId),
    ...(Array.isArray(dependsOn) ? { dependsOn: dependsOn.map(lower) } : {}),
  };
}

/** What the schema cannot say: which op carries what, and how large it may be. */
function faultOfContent({
  op,
  data,
  update,
}: LocalMutation): { readonly path: string; readonly message: string; readonly code?: string } | null {
  if (op === 'merge') {
    if (!update) return { path: '/update', message: 'merge needs an update' };
    if (update.length <= LIMITS.updateLength) return null;
    const message = `longer than ${LIMITS.updateLength} characters: insert it in parts`;
    return { path: '/update', message, code: 'update_too_large' };
  }
  if (op === 'delete') return null;
  if (data === undefined || data === null) return { path: '/data', message: `${op} needs an object` };
  if (Object.hasOwn(data, '')) return { path: '/data/', message: 'a field needs a name' };
  const bytes = new TextEncoder().encode(JSON.stringify(data)).length;
  if (bytes <= LIMITS.mutationBytes) return null;
  return { path: '/data', message: `larger than ${LIMITS.mutationBytes} bytes` };
}

function unknownLength(raw: Readonly<Record<string, unknown>>): number {
  const unknown = Object.entries(raw).filter(([field]) => !Object.hasOwn(LocalMutation.properties, field));
  return unknown.length === 0 ? 0 : rfc8785Json(Object.fromEntries(unknown)).length;
}

/** 72 hexadecimal digits: everything but the data, the version of that, and the data. */
function identityOf(userId: string, mutation: LocalMutation, wallMs: number): string {
  const { entityType, entityId, op, scope, schemaVersion = 1, data = null } = mutation;
  const update = op === 'merge' ? mutation.update : null;
  const lasting = sha256Hex(JSON.stringify([userId, entityType, entityId, op, scope, wallMs, update]));
  const carriesData = op !== 'merge' && op !== 'delete';
  const ofData = sha256Hex(carriesData ? canonicalJson(data as JsonValue) : '');
  return lasting.slice(0, 32) + schemaVersion.toString(16).padStart(8, '0') + ofData.slice(0, 32);
}
