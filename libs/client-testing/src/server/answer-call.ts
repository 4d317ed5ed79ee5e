import type { ConflictRecord } from '@sync/protocol';
import { entityTypeInfos, findUnstorable } from '@sync/protocol';
import { listConflicts } from '../conflicts/list.ts';
import { recordFor } from '../conflicts/records.ts';
import { ownRecord, resolveConflict } from '../conflicts/resolve.ts';
import { ack } from '../pull/ack.ts';
import type { Pulls } from '../pull/pull.ts';
import { push } from '../push/push.ts';
import type { Device } from './device.ts';
import { RefusedRequest } from './refused-request.ts';
import type { Tenant } from './tenant.ts';

/** A request of a device that has proven who it is. */
export interface DeviceCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

type Operation = (tenant: Tenant, device: Device, call: DeviceCall, pulls: Pulls) => unknown;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /sync/v1/pull': (tenant, device, { body, signal }, pulls) => pulls.pull(tenant, device, body, signal),
  'POST /sync/v1/push': (tenant, device, { body }) => push(tenant, device, body),
  'POST /sync/v1/ack': (tenant, device, { body }) => ack(tenant, device, body),
  'POST /sync/v1/resolve-conflict': (tenant, device, { body }) => {
    return withTime(tenant, { conflict: resolveConflict(tenant, device, body) });
  },
  'GET /sync/v1/entity-types': (tenant) => {
    return withTime(tenant, { entityTypes: entityTypeInfos([...tenant.world.types.values()]) });
  },
  'GET /sync/v1/conflicts': (tenant, device, { path }) => {
    return withTime(tenant, listConflicts(tenant, device.userId, queryOf(path)));
  },
};
const ONE_CONFLICT = /^\/sync\/v1\/conflicts\/([^/]+)$/;
const SUGGESTIONS = /^\/sync\/v1\/conflicts\/([^/]+)\/suggestions$/;

/** @throws RefusedRequest */
export async function answerCall(
  tenant: Tenant,
  device: Device,
  call: DeviceCall,
  pulls: Pulls,
): Promise<unknown> {
  const { method, path } = call;
  if (device.isRevoked) throw new RefusedRequest('device_revoked', 'The device was revoked');
  checkParameters(path);
  const bare = path.split('?')[0] ?? '';
  const operation = OPERATIONS[`${method} ${bare}`];
  if (operation) return operation(tenant, device, call, pulls);
  const [, conflictId] = ONE_CONFLICT.exec(bare) ?? [];
  if (method === 'GET' && conflictId !== undefined)
    return withTime(tenant, { conflict: shownRecord(tenant, device, conflictId) });
  if (method === 'POST' && SUGGESTIONS.test(bare))
    throw new RefusedRequest('suggestions_disabled', 'This tenant has no suggestions');
  const isElsewhere = Object.keys(OPERATIONS).some((known) => known.endsWith(` ${bare}`));
  if (isElsewhere) throw new RefusedRequest('method_not_allowed', `${bare} does not take ${method}`);
  throw new RefusedRequest('not_found', `There is nothing at ${bare}`);
}

function shownRecord(tenant: Tenant, device: Device, conflictId: string): ConflictRecord {
  return recordFor(tenant, ownRecord(tenant, device, conflictId).record);
}

const withTime = (tenant: Tenant, body: object): object => ({ serverTime: tenant.nowIso, ...body });

export const queryOf = (path: string): URLSearchParams => new URLSearchParams(path.split('?')[1] ?? '');

/** @throws RefusedRequest `schema_invalid` with the name of the parameter (COMMON-26) */
function checkParameters(path: string): void {
  const fault = findUnstorable(Object.fromEntries(queryOf(path)));
  if (fault)
    throw new RefusedRequest('schema_invalid', `${fault.path}: ${fault.message}`, { errors: [fault] });
}
