import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { DriverDevice, type StackLine, bindDevice } from '@sync/e2e-device';
import type { LocalMutation, Outcome, PullResponse, PushResponse, RemoteDelta } from '@sync/protocol';
import { withNeeds } from './needs.ts';

/** The platform under test, as the setup or the command handed it over: maybe of a few URLs only. */
export function platform(): StackLine {
  const line = process.env['STACK_JSON'];
  if (!line) throw new Error('STACK_JSON is not set: run this kit through its jest.config.mjs');
  return withNeeds(JSON.parse(line) as Partial<StackLine>);
}

/** An id that no other test uses. */
export function fresh(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}

/** A tenant, a user and as many bound devices as asked. */
export async function boundDevices(
  count: number,
  tenantId = fresh('t'),
  userId = fresh('u'),
): Promise<DriverDevice[]> {
  const { gateway } = platform();
  return Promise.all(
    Array.from(
      { length: count },
      async () => new DriverDevice(gateway, await bindDevice(platform(), tenantId, userId)),
    ),
  );
}

export interface Bound {
  readonly tenantId: string;
  readonly userId: string;
  readonly scope: string;
  readonly device: DriverDevice;
}

/** One user with one device, ready to write into `scope`. */
export async function boundUser(tenantId = fresh('t'), userId = fresh('u')): Promise<Bound> {
  const [device] = await boundDevices(1, tenantId, userId);
  if (!device) throw new Error('no device was bound');
  return { tenantId, userId, scope: `user:${userId}`, device };
}

/** Another device of the same user. */
export async function anotherDevice({
  tenantId,
  userId,
}: Pick<Bound, 'tenantId' | 'userId'>): Promise<DriverDevice> {
  return new DriverDevice(platform().gateway, await bindDevice(platform(), tenantId, userId));
}

/** A minimal xAPI statement; its id is the entity's. */
export function statement(id: string, page = 1): Record<string, unknown> {
  return {
    id,
    verb: { id: 'http://adlnet.gov/expapi/verbs/experienced', display: { 'en-US': 'experienced' } },
    object: { objectType: 'Activity', id: `https://courses.example/c/pages/${page}` },
    timestamp: '2026-01-01T00:00:00.000Z',
  };
}

/** Appends `count` statements to the outbox; @returns their entity ids in order */
export function appendStatements(device: DriverDevice, scope: string, count: number): string[] {
  return Array.from({ length: count }, (_unused, index) => {
    const entityId = randomUUID();
    device.write({
      scope,
      entityType: 'statement',
      entityId,
      op: 'append',
      data: statement(entityId, index),
    });
    return entityId;
  });
}

/**
 * Pushes mutations past the device's outbox. What a test changed of what a device wrote, the device has written
 * so: it gets a tag of its own. @returns their outcomes, in order
 */
export async function send(
  device: DriverDevice,
  ...mutations: readonly Readonly<Record<string, unknown>>[]
): Promise<Outcome[]> {
  const written = mutations.map((mutation) => ('tag' in mutation ? device.tag(mutation) : mutation));
  return sendAsItIs(device, ...written);
}

/** The same, with the tags that they have. */
export async function sendAsItIs(
  device: DriverDevice,
  ...mutations: readonly Readonly<Record<string, unknown>>[]
): Promise<Outcome[]> {
  const body = { sentAt: new Date().toISOString(), mutations };
  return (await device.call<PushResponse>('/sync/v1/push', body)).outcomes;
}

/**
 * For `agoMs` of writes whose order counts: a device’s time is corrected by what its push took, which on a
 * busy machine may be longer than a test can wait.
 */
export const minutes = (count: number): number => count * 60_000;

/**
 * Pulls until `wanted` holds of what the device has; projection is asynchronous.
 * @throws Error when a digest is not that of what was pulled
 */
export async function pullUntil(
  device: DriverDevice,
  wanted: () => boolean,
  limitMs = 15_000,
): Promise<void> {
  const deadlineMs = Date.now() + limitMs;
  await device.sync();
  compareDigests(device);
  while (!wanted()) {
    if (Date.now() > deadlineMs) {
      const held = [...device.scopes].map(([scope, { digest }]) => `${scope}: ${digest.count}`).join(', ');
      throw new Error(`what was wanted did not arrive within ${limitMs} ms (${held || 'nothing held'})`);
    }
    await device.pullOnce({ waitMs: 200 });
    await device.sync();
    compareDigests(device);
  }
}

/**
 * Wherever a device has pulled everything, it holds what the server says that it does (PULL-6): a server that
 * skips, changes or keeps back a delta is found at once, not after the wait for it.
 */
function compareDigests(device: DriverDevice): void {
  for (const [scope, { digest, serverDigest }] of device.scopes) {
    if (serverDigest === null || isDeepStrictEqual(digest, serverDigest)) continue;
    const [held, told] = [digest, serverDigest].map((one) => `${one.count} entities, ${one.hash}`);
    throw new Error(`${scope} is not what its digest says: pulled ${held}; the server has ${told}`);
  }
}

/** Pulls until every mutation has its outcome and the device shows what it came to. */
export async function pullUntilShown(
  device: DriverDevice,
  written: readonly { readonly author: DriverDevice; readonly mutation: LocalMutation }[],
): Promise<void> {
  for (const { author, mutation } of written) {
    await pullUntil(author, () => author.outcomes.has(mutation.mutationId));
  }
  await pullUntil(device, () =>
    written.every(({ author, mutation }) =>
      device.replica(mutation.scope).shows(mutation, author.outcomes.get(mutation.mutationId)),
    ),
  );
}

/** One page of one scope, nothing applied to the device's replica. */
export async function rawPull(
  device: DriverDevice,
  scope: string,
  cursor: string | null,
  limit = 500,
): Promise<PullResponse['scopes'][number]> {
  const answer = await device.call<PullResponse>('/sync/v1/pull', { scopes: [{ scope, cursor }], limit });
  const page = answer.scopes[0];
  if (!page) throw new Error(`${scope} was not answered: revoked ${answer.revoked.join()}`);
  return page;
}

export function entityOf(
  device: DriverDevice,
  scope: string,
  entityType: string,
  entityId: string,
): RemoteDelta | undefined {
  return device.scopes.get(scope)?.entities.get(`${entityType}/${entityId}`);
}
