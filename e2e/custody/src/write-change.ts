import { randomUUID } from 'node:crypto';
import type { SeededRandom } from '@sync/documents/testing';
import { type Change, type CustodyDevice, keyOf } from './custody-device.ts';
import { erasePiece, piecesOf, typePiece } from './document-text.ts';
import type { RunLog } from './run-log.ts';
import type { WriteKind } from './scenario.ts';

const LONG_AGO = '2020-01-01T00:00:00.000Z';

/** What the writes of one run have in common. */
export interface World {
  readonly log: RunLog;
  readonly random: SeededRandom;
  readonly courseId: string;
  /** All devices of a user write documents under one clientID. */
  readonly sharesClientIds: boolean;
  /** By type, the one entity that the devices of the first user write. */
  readonly ids: Readonly<Record<'progress' | 'note' | 'document' | 'enrollment', string>>;
}

type FieldType = 'progress' | 'note';

/** Fields of which every written value is a new one. */
const FIELDS = { progress: ['lastPage', 'score'], note: ['text', 'colour'] } as const;

/**
 * Writes something of the kind on the device, where there is something to write. @param old as if long ago
 */
export function writeChange(world: World, device: CustodyDevice, what: WriteKind, old: boolean): void {
  switch (what) {
    case 'type':
    case 'erase': {
      writeText(world, device, what);
      return;
    }
    case 'append statement':
    case 'repeat statement': {
      writeStatement(world, device, what);
      return;
    }
    case 'withdraw': {
      writeWithdrawal(world, device);
      return;
    }
    default: {
      const [op, type] = what.split(' ') as ['put' | 'patch' | 'delete', FieldType];
      // Nobody changes or deletes what they have never seen.
      const change = fieldChange(world, device, knows(world, device, type) ? op : 'put', type);
      device.write({ ...change, ...(old ? { occurredAt: LONG_AGO } : {}) });
    }
  }
}

/** New values for all fields of a type that are followed. */
export function newValues(world: World, type: FieldType): Map<string, string> {
  return new Map(FIELDS[type].map((field) => [field, newValue(world, field)]));
}

/** The whole data of an entity with these values. */
export function dataWith(
  world: World,
  type: FieldType,
  userId: string,
  tokens: ReadonlyMap<string, string>,
): Record<string, unknown> {
  const { courseId } = world;
  const required = type === 'note' ? { userId } : { userId, courseId, percent: 10, status: 'in_progress' };
  return { ...required, ...valuesOf(tokens) };
}

/** `score` is a number. */
function newValue({ log }: World, field: string): string {
  return log.newToken(field === 'score' ? '7' : `value-${field}-`);
}

function valuesOf(tokens: ReadonlyMap<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    [...tokens].map(([field, token]) => [field, field === 'score' ? Number(token) : token]),
  );
}

function entityOf({ ids }: World, { userId }: CustodyDevice, type: FieldType) {
  const entityId = userId === 'u1' ? ids[type] : `${ids[type]}-2`;
  return { scope: `user:${userId}`, entityType: type, entityId };
}

/** Whether the device shows the entity: what the server has, and on top of it what is still to be pushed. */
function knows(world: World, device: CustodyDevice, type: FieldType): boolean {
  const { scope, ...entity } = entityOf(world, device, type);
  const last = device.pending.findLast((one) => keyOf(one) === keyOf(entity));
  return last ? last.op !== 'delete' : device.entity(scope, keyOf(entity)) !== undefined;
}

function fieldChange(
  world: World,
  device: CustodyDevice,
  op: 'put' | 'patch' | 'delete',
  type: FieldType,
): Change {
  const { random } = world;
  const base = { ...entityOf(world, device, type), op };
  if (op === 'delete') return { ...base, tokens: new Map(), removes: 'all' };
  if (op === 'patch') {
    const field = random.pick(FIELDS[type]);
    const tokens = new Map([[field, newValue(world, field)]]);
    return { ...base, data: valuesOf(tokens), tokens, removes: new Set() };
  }
  const tokens = newValues(world, type);
  // A put sometimes leaves out what it may.
  if (random.below(2) === 0) tokens.delete(type === 'note' ? 'colour' : random.pick(FIELDS.progress));
  const data = dataWith(world, type, device.userId, tokens);
  return { ...base, data, tokens, removes: 'left out' };
}

function writeStatement({ log }: World, device: CustodyDevice, what: WriteKind): void {
  const base = { scope: `user:${device.userId}`, entityType: 'statement', op: 'append' as const };
  if (what === 'repeat statement') {
    // A rebuilt outbox: the same record under a fresh mutationId.
    const earlier = device.remembered.findLast(({ entityType }) => entityType === 'statement');
    if (!earlier) return;
    const { entityId, data = null, occurredAt } = earlier;
    device.write({ ...base, entityId, data, occurredAt, tokens: new Map(), removes: new Set() });
    return;
  }
  const entityId = randomUUID();
  const page = log.newToken('https://courses.example/pages/p');
  const verb = { id: 'http://adlnet.gov/expapi/verbs/experienced' };
  const data = { id: entityId, verb, object: { objectType: 'Activity', id: page } };
  device.write({ ...base, entityId, data, tokens: new Map([['object', page]]), removes: new Set() });
}

function writeWithdrawal({ courseId, ids, log }: World, device: CustodyDevice): void {
  if (device.userId !== 'u1') return;
  log.withdrawn.add(`course:${courseId}`);
  device.write({
    scope: 'user:u1',
    entityType: 'enrollment',
    entityId: ids.enrollment,
    op: 'put',
    data: { userId: 'u1', courseId, status: 'withdrawn' },
    tokens: new Map(),
    removes: new Set(),
  });
}

function writeText(world: World, device: CustodyDevice, what: 'type' | 'erase'): void {
  const { courseId, ids, log, random } = world;
  const entity = { entityType: 'document', entityId: ids.document };
  const held = device.text(keyOf(entity));
  if (!held) return;
  const base = { scope: `course:${courseId}`, ...entity, op: 'merge' as const };
  if (what === 'type') {
    const piece = log.newToken(`word-${device.name}`);
    const edit = typePiece(held, device.clientId, random.below(100), piece);
    const tokens = new Map([['', piece]]);
    device.write({ ...base, update: edit.update, tokens, removes: new Set() }, edit.held);
    return;
  }
  // A deletion names clocks and no content: under a clientID of two devices it takes away what the other one
  // wrote.
  const pieces = world.sharesClientIds ? [] : piecesOf(held);
  if (pieces.length === 0) return;
  const piece = random.pick(pieces);
  const edit = erasePiece(held, device.clientId, piece);
  device.write({ ...base, update: edit.update, tokens: new Map(), removes: new Set([piece]) }, edit.held);
}
