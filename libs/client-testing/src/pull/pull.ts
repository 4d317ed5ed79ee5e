import {
  type HeldDocument,
  LIMITS,
  PullRequest,
  type PullResponse,
  type RemoteDelta,
  validator,
} from '@sync/protocol';
import type { Clock } from '@sync/client';
import { shownTo } from '../conflicts/records.ts';
import { settleWaiting } from '../push/settle.ts';
import { tellAll } from '../push/tell.ts';
import { decodeBody } from '../server/decode-body.ts';
import type { Device } from '../server/device.ts';
import { RefusedRequest, refusePath } from '../server/refused-request.ts';
import { keyOf } from '../server/scope-log.ts';
import type { Tenant } from '../server/tenant.ts';
import { readAck } from './ack.ts';
import { type Cursor, mintCursor, readCursor } from './cursors.ts';
import { refuseForged, refuseRepeated } from './refuse-listed.ts';
import { WaitingPulls } from './waiting-pulls.ts';

const checkRequest = validator(PullRequest);
const MAX_GRANTED = 1_000;
/** An update that is shorter is sent as it is. */
const WORTH_LENGTH = 1_024;

interface Asked {
  readonly scope: string;
  readonly token: string | null;
  readonly cursor: Cursor | null;
  readonly documents: readonly HeldDocument[];
}

interface Reading {
  readonly answer: PullResponse;
  readonly isNews: boolean;
}

/** Pulls, those that wait for news included. */
export class Pulls {
  readonly #clock: Clock;
  readonly #waiting: WaitingPulls;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#waiting = new WaitingPulls(clock);
  }

  /** @throws RefusedRequest `schema_invalid`, `cursor_invalid`, `rate_limited`, `device_revoked` */
  async pull(tenant: Tenant, device: Device, sent: unknown, signal?: AbortSignal): Promise<PullResponse> {
    const request = decodeBody(checkRequest, sent);
    const { limit = LIMITS.defaultDeltasPerPull, waitMs = 0 } = request;
    const asked = request.scopes ? readAsked(tenant, device, request.scopes) : null;
    const carryOut = request.ack && readAck(tenant, device, request.ack, '/ack');
    const acked = carryOut ? { ack: carryOut() } : {};
    const untilMs = this.#clock.now() + waitMs;
    let reading = read(tenant, device, asked, limit);
    const granted = reading.answer.granted?.join();
    while (asked && !reading.isNews && reading.answer.granted?.join() === granted) {
      const leftMs = untilMs - this.#clock.now();
      if (leftMs <= 0) break;
      const why = await this.#waiting.wait(tenant, device, leftMs, signal);
      if (device.isRevoked) throw new RefusedRequest('device_revoked', 'The device was revoked');
      reading = read(tenant, device, asked, limit);
      if (why !== 'news') break;
    }
    return { ...reading.answer, ...acked };
  }
}

/** Scopes that it names twice, and cursors that it cannot have, are refused with their paths. */
function readAsked(
  tenant: Tenant,
  device: Device,
  scopes: NonNullable<PullRequest['scopes']>,
): readonly Asked[] {
  const documents = scopes.flatMap((each) => each.documents ?? []);
  if (documents.length > LIMITS.documentsPerPull)
    throw new RefusedRequest('limit_exceeded', `a pull names at most ${LIMITS.documentsPerPull} documents`);
  refuseRepeated(
    scopes.map(({ scope }) => scope),
    (at) => `/scopes/${at}/scope`,
  );
  const asked = scopes.map(({ scope, cursor: token = null, documents: held = [] }, at): Asked => {
    checkHeld(tenant, held, `/scopes/${at}/documents`);
    const cursor = token === null ? null : readCursor(tenant, device, scope, token);
    return { scope, token, cursor, documents: held };
  });
  refuseForged(
    asked.map(({ token, cursor }) => token !== null && cursor === null),
    '/scopes',
  );
  return asked;
}

/** @throws RefusedRequest `schema_invalid` for a document that is named twice, or with no state vector */
function checkHeld({ world }: Tenant, held: readonly HeldDocument[], path: string): void {
  refuseRepeated(
    held.map(({ entityType, entityId }) => keyOf(entityType, entityId)),
    (at) => `${path}/${at}`,
  );
  for (const [at, { entityType, stateVector }] of held.entries()) {
    const keeper = world.types.get(entityType)?.documents;
    if (keeper && !keeper.isStateVector(stateVector))
      refusePath(`${path}/${at}/stateVector`, 'not a Yjs state vector');
  }
}

function read(tenant: Tenant, device: Device, asked: readonly Asked[] | null, limit: number): Reading {
  settleWaiting(tenant);
  const held = tenant.scopesOf(device.userId);
  const all = asked ?? held.map((scope): Asked => ({ scope, token: null, cursor: null, documents: [] }));
  const pages: PullResponse['scopes'] = [];
  const revoked = new Set(device.owed);
  let left = limit;
  let isNews = false;
  for (const one of all) {
    if (!held.includes(one.scope)) {
      revoked.add(one.scope);
      continue;
    }
    device.served.add(one.scope);
    const page = readScope(tenant, device, one, left);
    left -= page.deltas.length;
    isNews ||= page.reset || page.deltas.length > 0 || page.hasMore;
    pages.push(page);
  }
  const outcomes = waitingOutcomes(tenant, device);
  const granted = asked ? held.filter((scope) => !device.served.has(scope)).slice(0, MAX_GRANTED) : [];
  isNews ||= revoked.size > 0 || outcomes.length > 0;
  const answer = {
    ...{ serverTime: tenant.nowIso, scopes: pages, revoked: [...revoked], outcomes, directives: [] },
    ...(granted.length > 0 ? { granted } : {}),
  };
  return { answer, isNews };
}

function readScope(
  tenant: Tenant,
  device: Device,
  { scope, token, cursor, documents }: Asked,
  limit: number,
): PullResponse['scopes'][number] {
  const log = tenant.log(scope);
  const generation = device.generation(scope);
  const isGood = cursor !== null && cursor.generation === generation && log.isOf(cursor);
  const { deltas, hasMore, position } = log.read(isGood ? cursor : null, limit);
  // A cursor that stays where it is stays as it is, so that nothing is news.
  const stays = isGood && cursor.sequence === position.sequence && cursor.floor === position.floor;
  return {
    ...{ scope, reset: !isGood, hasMore },
    deltas: deltas.map((delta) => withoutHeld(tenant, shownTo(tenant, device.userId, delta), documents)),
    cursor: stays && token ? token : mintCursor(tenant, device, scope, { ...position, generation }),
    ...(hasMore ? {} : { digest: log.digest }),
  };
}

/** Of a document that the device says it has, what it lacks, where that is shorter (PULL-19). */
function withoutHeld(tenant: Tenant, delta: RemoteDelta, held: readonly HeldDocument[]): RemoteDelta {
  const { entityType, entityId, update = '', data } = delta;
  const keeper = tenant.world.types.get(entityType)?.documents;
  const own = held.find((one) => one.entityType === entityType && one.entityId === entityId);
  if (!keeper || own?.epoch !== data?.[keeper.epochField] || !own || update.length < WORTH_LENGTH)
    return delta;
  const difference = keeper.difference(update, own.stateVector);
  return difference.length < update.length ? { ...delta, update: difference } : delta;
}

/** Terminal outcomes that the device has not acked (PULL-13). */
function waitingOutcomes(tenant: Tenant, device: Device): PullResponse['outcomes'] {
  const entries = [...tenant.ledger.values()].filter(
    ({ ended, unacked }) => ended !== null && unacked.has(device.deviceId),
  );
  const told = tellAll(tenant, device.userId, entries.slice(0, LIMITS.outcomesPerPull));
  return told.filter((outcome) => outcome !== null);
}
