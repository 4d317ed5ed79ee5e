import { AckRequest, type AckResponse, type AckResult, validator } from '@sync/protocol';
import { noteAcked } from '../push/own-entry.ts';
import { decodeBody } from '../server/decode-body.ts';
import type { Device } from '../server/device.ts';
import type { Ended, Tenant } from '../server/tenant.ts';
import { type Cursor, readCursor } from './cursors.ts';
import { refuseForged, refuseRepeated } from './refuse-listed.ts';

const checkRequest = validator(AckRequest);

/** @throws RefusedRequest `schema_invalid`, `cursor_invalid` */
export function ack(tenant: Tenant, device: Device, sent: unknown): AckResponse {
  const carryOut = readAck(tenant, device, decodeBody(checkRequest, sent));
  return { serverTime: tenant.nowIso, ...carryOut() };
}

/**
 * @param path JSON Pointer of the ack in its request
 * @returns carries it out
 * @throws RefusedRequest `schema_invalid`, `cursor_invalid`, and nothing has changed
 */
export function readAck(tenant: Tenant, device: Device, sent: AckRequest, path = ''): () => AckResult {
  const { cursors = [] } = sent;
  refuseRepeated(
    cursors.map(({ scope }) => scope),
    (at) => `${path}/cursors/${at}/scope`,
  );
  const read = cursors.map(({ scope, cursor }) => readCursor(tenant, device, scope, cursor));
  refuseForged(
    read.map((cursor) => cursor === null),
    `${path}/cursors`,
  );
  return () => carryOut(tenant, device, sent, read);
}

function carryOut(
  tenant: Tenant,
  device: Device,
  { cursors = [], outcomes = [], purged = [] }: AckRequest,
  read: readonly (Cursor | null)[],
): AckResult {
  const answered = cursors.flatMap(({ scope, digest }, at) => {
    const cursor = read[at];
    if (!cursor || !tenant.holds(device.userId, scope)) return [];
    const status = advance(device, scope, cursor);
    if (digest) compareDigest(tenant, device, scope, cursor, digest);
    return [{ scope, status }];
  });
  for (const mutationId of outcomes) {
    const entry = tenant.ledger.get(mutationId.toLowerCase());
    if (!entry?.ended || !entry.unacked.delete(device.deviceId)) continue;
    if (entry.work && hasMet(entry.ended)) noteAcked(tenant, entry.work);
  }
  for (const scope of purged) if (device.owed.delete(scope)) device.beginAnew(scope);
  return { cursors: answered };
}

/** Whether a change came to its turn, and stands or lost to what stood (PUSH-18). */
const hasMet = ({ status, code }: Ended): boolean => status !== 'rejected' || code === 'server_changed';

/** A cursor only ever advances (ACK-1). */
function advance(device: Device, scope: string, cursor: Cursor): 'advanced' | 'unchanged' | 'stale' {
  if (cursor.generation !== device.generation(scope)) return 'stale';
  const { epoch, sequence } = cursor;
  const known = device.acked.get(scope) ?? { epoch: 0, sequence: -1 };
  if (known.epoch === epoch && known.sequence === sequence) return 'unchanged';
  if (known.epoch > epoch || (known.epoch === epoch && known.sequence > sequence)) return 'stale';
  device.acked.set(scope, { epoch, sequence });
  return 'advanced';
}

/** One that differs at the head of the scope is repaired, and then not again before it has agreed (ACK-3). */
function compareDigest(
  tenant: Tenant,
  device: Device,
  scope: string,
  { epoch, sequence, generation }: Cursor,
  { count, hash }: { readonly count: number; readonly hash: string },
): void {
  const { head, digest } = tenant.log(scope);
  if (head.epoch !== epoch || head.sequence !== sequence || generation !== device.generation(scope)) return;
  if (digest.count === count && digest.hash === hash) device.mistrusted.delete(scope);
  else if (!device.mistrusted.has(scope)) {
    device.mistrusted.add(scope);
    device.beginAnew(scope);
  }
}
