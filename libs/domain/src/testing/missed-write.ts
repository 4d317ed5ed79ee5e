/**
 * One entity in the two states that last writer wins distinguishes, and a device that missed one write of it.
 */
import { decide } from '../conflict/decide.ts';
import type { Decision, ReviewMode } from '../conflict/decision.ts';
import type { EntityState, FieldWrites, MutationInput, Write } from '../entity.ts';
import { mutationOf } from './server-model.ts';

export const SERVER = { atMs: 50, by: 's:svc', counter: 1 };
/** Device b's write at 100, which device a has not seen unless its base says so. */
export const OTHER = { atMs: 100, by: 'd:b', counter: 1 };
export const BASE = { 's:svc': 1 };
export const CLOCK = { 's:svc': 1, 'd:b': 1 };

export function stateOf(fields: Partial<EntityState> & { fieldWrites: FieldWrites }): EntityState {
  return {
    revision: 7,
    clock: CLOCK,
    data: { f: 'b', g: 'old' },
    deleted: false,
    deletedData: null,
    ...fields,
  };
}

/** `f` was written by device b, `g` by the service before. */
export const LIVE = stateOf({ fieldWrites: { '': SERVER, f: OTHER, g: SERVER } });
export const DELETED = stateOf({
  data: null,
  deleted: true,
  deletedData: { f: 'x', g: 'old' },
  fieldWrites: { '': OTHER, f: SERVER, g: SERVER },
});

/** Deleted by device b at 100, and made anew by it with another field. */
const AGAIN = { ...OTHER, atMs: 120, counter: 2 };
export const REMADE = stateOf({
  clock: { 's:svc': 1, 'd:b': 2 },
  data: { h: 'new' },
  fieldWrites: { '': { ...AGAIN, deletion: OTHER }, h: AGAIN },
});

/** Device a's first mutation; it has seen the service's change only. */
export const from = (op: MutationInput['op'], data: MutationInput['data'], atMs: number): MutationInput =>
  mutationOf({ mutationId: 'm1', deviceId: 'a', op, data, baseClock: BASE, occurredAtMs: atMs });
export const own = (atMs: number): Write => ({ atMs, by: 'd:a', counter: 1 });

export function decideOn(
  current: EntityState | null,
  mutation: MutationInput,
  review: ReviewMode = 'none',
): Decision {
  return decide({ mutation, current, policy: 'lww', review, serverNowMs: 1_000 });
}

export const AFTER = { 's:svc': 1, 'd:b': 1, 'd:a': 1 };
export const RECORD = {
  policy: 'lww',
  entityType: 'thing',
  entityId: 'e1',
  mutationId: 'm1',
  base: { g: 'old' },
  baseUnknown: ['f'],
  theirsUpdate: null,
  decision: 'auto',
  clockOurs: CLOCK,
  clockTheirs: { 's:svc': 1, 'd:a': 1 },
};
export const SUBMIT = {
  kind: 'submit',
  update: null,
  clock: AFTER,
  expectedRevision: 7,
  status: 'merged',
  record: null,
};
