import { planLanes, sameChange } from '@sync/domain';
import { type Outcome, OUTCOME_CODES, PushEnvelope, type PushResponse, validator } from '@sync/protocol';
import { readAck } from '../pull/ack.ts';
import { decodeBody } from '../server/decode-body.ts';
import type { Device } from '../server/device.ts';
import { RefusedRequest } from '../server/refused-request.ts';
import type { LedgerEntry, Tenant, WaitingEntry } from '../server/tenant.ts';
import { admit, refuseTag } from './admit.ts';
import { lost, rejected } from './carry-out.ts';
import { settleWaiting } from './settle.ts';
import { endEntry, tellAll } from './tell.ts';
import { noteRefused } from './own-entry.ts';
import { type Element, type Refusal, type Work, readElement } from './work.ts';

const checkEnvelope = validator(PushEnvelope);
/** Of one device. */
const MAX_WAITING = 10_000;
const RETRY_AFTER_S = 5;

/** @throws RefusedRequest for what cannot be answered mutation by mutation */
export function push(tenant: Tenant, device: Device, sent: unknown): PushResponse {
  const body = decodeBody(checkEnvelope, sent);
  const waits = tenant.waiting.filter(({ deviceId }) => deviceId === device.deviceId).length;
  if (waits + body.mutations.length > MAX_WAITING)
    throw new RefusedRequest('rate_limited', 'Too many mutations wait', { retryAfter: RETRY_AFTER_S });
  const carryOut = body.ack && readAck(tenant, device, body.ack, '/ack');
  const acked = carryOut ? { ack: carryOut() } : {};
  device.pushes += 1;
  const { userId, deviceId, pushes } = device;
  const nowMs = tenant.world.now();
  const moment = { userId, deviceId, sentAtMs: Date.parse(body.sentAt), nowMs, push: pushes };
  const elements = body.mutations.map((each) => readElement(each, moment));
  const received = elements.map((element) => receive(tenant, device, element));
  refuseCircles(tenant, received);
  settleWaiting(tenant);
  tenant.announce();
  const told = tellAll(
    tenant,
    userId,
    received.map(({ entry }) => entry),
  );
  const outcomes = told.map((outcome, place): Outcome => {
    return outcome ?? { mutationId: elements[place]?.mutationId ?? '', status: 'accepted' };
  });
  return { serverTime: tenant.nowIso, outcomes, ...acked };
}

interface Received {
  readonly entry: LedgerEntry;
  /** A mutation that came for the first time, and is to be carried out. */
  readonly fresh: WaitingEntry | null;
}

function receive(tenant: Tenant, device: Device, element: Element): Received {
  const { mutationId, work } = element;
  const known = tenant.ledger.get(mutationId);
  const isFree = known?.ended?.status === 'rejected' && known.ended.conflictId === undefined;
  const isSame = known?.userId === device.userId && sameChange(known.identity, element.identity);
  if (known && isSame && (!isFree || known.deviceId === device.deviceId)) {
    if (known.deviceId !== device.deviceId) known.unacked.add(device.deviceId);
    return { entry: known, fresh: null };
  }
  const { sequence } = element.raw;
  if (typeof sequence === 'number') device.noteSequence(sequence, mutationId);
  const refusal = element.refusal ?? refuseTag(tenant, element) ?? (work ? admit(tenant, work) : null);
  const taken = known && !isFree;
  const reused = { code: 'mutation_id_reused', message: OUTCOME_CODES.mutation_id_reused };
  if (refusal ?? taken) {
    const entry = entryOf(device, element, null);
    endEntry(tenant, entry, rejected(refusal ?? reused));
    if (refusal) noteRefused(tenant, device.deviceId, element);
    // A refusal takes no id from anybody who has one (PUSH-16).
    if (!taken) tenant.ledger.set(mutationId, entry);
    return { entry, fresh: null };
  }
  if (!work) throw new Error(`mutation ${mutationId} is neither good nor refused`);
  const entry = entryOf(device, element, work);
  tenant.ledger.set(mutationId, entry);
  tenant.waiting.push(entry);
  return { entry, fresh: entry };
}

function entryOf<W extends Work | null>(
  { userId, deviceId }: Device,
  { mutationId, identity, address }: Element,
  work: W,
): LedgerEntry & { readonly work: W } {
  const unacked = new Set([deviceId]);
  return { mutationId, userId, deviceId, identity, address, work, ended: null, endedAt: '', unacked };
}

/** What waits for itself inside of one push ends at once. */
function refuseCircles(tenant: Tenant, received: readonly Received[]): void {
  const entries = received.flatMap(({ fresh }) => (fresh ? [fresh] : []));
  const { blocked } = planLanes(entries.map(({ work }) => work.mutation));
  for (const [place, code] of blocked) {
    const entry = entries[place];
    if (!entry) continue;
    const refusal: Refusal = { code, message: `/dependsOn: ${OUTCOME_CODES[code]}` };
    endEntry(tenant, entry, { ...rejected(refusal), ...lost(tenant, entry.work) }, entry.work);
  }
}
