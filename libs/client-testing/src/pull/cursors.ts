import { macOf } from '../server/hashes.ts';
import type { Device } from '../server/device.ts';
import type { ScopePosition } from '../server/scope-log.ts';
import type { Tenant } from '../server/tenant.ts';

/** A position, and of which copy of the scope. */
export interface Cursor extends ScopePosition {
  readonly generation: number;
}

const SHAPE = /^(\d+)-(\d+)-(\d+)-(\d+)-([0-9a-f]{32})$/;

/** Bound to tenant, user, device and scope by a MAC, so that nobody can make one (PULL-5). */
export function mintCursor(tenant: Tenant, device: Device, scope: string, cursor: Cursor): string {
  const { epoch, sequence, floor, generation } = cursor;
  const text = [epoch, sequence, floor, generation].join('-');
  const owner = [tenant.tenantId, device.userId, device.deviceId, scope].join('\0');
  return `${text}-${macOf(tenant.world.secret, `cursor\0${owner}\0${text}`).slice(0, 32)}`;
}

/** @returns null for one that is forged, damaged, or somebody else's */
export function readCursor(tenant: Tenant, device: Device, scope: string, token: string): Cursor | null {
  const [, epoch, sequence, floor, generation] = SHAPE.exec(token) ?? [];
  if (generation === undefined) return null;
  const cursor = {
    ...{ epoch: Number(epoch), sequence: Number(sequence) },
    ...{ floor: Number(floor), generation: Number(generation) },
  };
  return mintCursor(tenant, device, scope, cursor) === token ? cursor : null;
}
