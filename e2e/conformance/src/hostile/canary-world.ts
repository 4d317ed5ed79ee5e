import { randomUUID } from 'node:crypto';
import { adminToken, changeOnServer, type DriverDevice, operatorToken } from '@sync/e2e-device';
import {
  anotherDevice,
  type Bound,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
} from '../kit/platform.ts';

/** What one user has written that nobody else may see. */
interface Secret {
  readonly tenantId: string;
  readonly canary: string;
}

/** Somebody who calls, and the words that no answer to him may have. */
export interface Caller {
  readonly device: DriverDevice;
  readonly admin: string;
  readonly viewer: string;
  readonly forbiddenToDevice: readonly string[];
  readonly forbiddenToAdmin: readonly string[];
}

/** Tenants with people who attack and people who are attacked. */
export interface CanaryWorld {
  readonly callers: readonly Caller[];
  readonly operator: string;
  readonly canaries: readonly string[];
  /** Ids, scopes and moments of all of them: the attackers know everything but what was written. */
  readonly known: readonly string[];
  readonly victims: readonly { readonly device: DriverDevice; readonly canary: string }[];
}

/**
 * Builds tenants with one attacker and one victim each. Every victim has a word of its own in each field of
 * everything that it has: entities of all policies, a document, and a conflict that waits for a person.
 * @param count tenants
 */
export async function buildCanaryWorld(count: number): Promise<CanaryWorld> {
  const tenants = await Promise.all(Array.from({ length: count }, () => tenantOf()));
  const secrets: Secret[] = tenants.map(({ victim: { tenantId }, canary }) => ({ tenantId, canary }));
  const callers = await Promise.all(
    tenants.map(async ({ attacker: { device, tenantId } }) => ({
      device,
      admin: await adminToken(platform(), tenantId),
      viewer: await adminToken(platform(), tenantId, fresh('viewer')),
      forbiddenToDevice: secrets.map(({ canary }) => canary),
      forbiddenToAdmin: secrets.filter((one) => one.tenantId !== tenantId).map(({ canary }) => canary),
    })),
  );
  return {
    callers,
    operator: await operatorToken(platform()),
    canaries: secrets.map(({ canary }) => canary),
    known: [...tenants.flatMap(({ known }) => known), ...COMMON],
    victims: tenants.map(({ victim: { device }, canary }) => ({ device, canary })),
  };
}

const COMMON = [
  ...[
    'note',
    'statement',
    'progress',
    'document',
    'enrollment',
    'certificate',
    'conflict',
    'learning',
    'authoring',
  ],
  ...['put', 'patch', 'append', 'merge', 'delete', 'fuzzed', 'data_invalid', 's:learning', '*', '1', '100'],
  ...['2026-11-01T00:00:00.000Z', '2031-01-01T00:00:00.000Z', '1970-01-01T00:00:00Z', 'AAA=', 'e30='],
];

interface Tenant {
  readonly attacker: Bound;
  readonly victim: Bound;
  readonly canary: string;
  readonly known: readonly string[];
}

async function tenantOf(): Promise<Tenant> {
  const attacker = await boundUser();
  const victim = await boundUser(attacker.tenantId);
  const canary = `canary-${randomUUID()}`;
  const { device, tenantId, userId, scope } = victim;
  const courseId = fresh('c');
  const ids = { note: fresh('n'), progress: fresh('p'), statement: randomUUID(), document: randomUUID() };
  const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
  await changeOnServer(platform().learning, tenantId, 'enrollment', fresh('e'), enrollment);
  const document = { courseId, title: canary, text: canary };
  await changeOnServer(platform().authoring, tenantId, 'document', ids.document, document);
  const statement = {
    id: ids.statement,
    verb: { id: 'http://adlnet.gov/expapi/verbs/experienced', display: { 'en-US': canary } },
    object: { objectType: 'Activity', id: `https://courses.example/${canary}` },
    timestamp: '2026-01-01T00:00:00.000Z',
  };
  device.write({ scope, entityType: 'statement', entityId: ids.statement, op: 'append', data: statement });
  await collide(victim, ids.note, canary);
  await pullUntil(
    device,
    () => entityOf(device, `course:${courseId}`, 'document', ids.document) !== undefined,
  );
  await pullUntil(attacker.device, () => attacker.device.scopes.has(attacker.scope));
  const { deviceId } = device.credentials;
  const scopes = [...device.scopes];
  const conflicts = scopes.flatMap(([, { entities }]) =>
    [...entities.keys()].flatMap((key) => (key.startsWith('conflict/') ? [key.slice(9)] : [])),
  );
  return {
    ...{ attacker, victim, canary },
    known: [
      ...[tenantId, userId, deviceId, attacker.userId, attacker.device.credentials.deviceId, courseId],
      ...[`d:${deviceId}`, scope, attacker.scope, `course:${courseId}`],
      ...[...Object.values(ids), ...conflicts, ...device.outcomes.keys()],
      ...scopes.flatMap(([, { cursor }]) => cursor ?? []),
      ...[...attacker.device.scopes].flatMap(([, { cursor }]) => cursor ?? []),
    ],
  };
}

/** Two devices of a user write one field, so that a person has to decide. */
async function collide(user: Bound, entityId: string, canary: string): Promise<void> {
  const { device, scope, userId } = user;
  const other = await anotherDevice(user);
  const note = { scope, entityType: 'note', entityId };
  device.write({ ...note, op: 'put', data: { userId, text: `${canary} base`, colour: canary } });
  await device.push();
  for (const one of [device, other])
    await pullUntil(one, () => entityOf(one, scope, 'note', entityId) !== undefined);
  device.write({ ...note, op: 'patch', data: { text: `${canary} mine` } });
  other.write({ ...note, op: 'patch', data: { text: `${canary} theirs` } });
  await device.push();
  const [held] = await other.push();
  await pullUntil(device, () => entityOf(device, scope, 'conflict', held?.conflictId ?? '') !== undefined);
}
