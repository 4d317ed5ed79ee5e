/**
 * What each policy does with each op in each state of the entity. Total in its types: a missing op or state
 * does not compile.
 */
import { describe, expect, it } from '@jest/globals';
import type { EntityState, FieldWrites, MutationInput, MutationOp } from '../entity.ts';
import { BASE, CLOCK, DELETED, LIVE, OTHER, REMADE, SERVER, from, stateOf } from '../testing/missed-write.ts';
import { decide } from './decide.ts';
import type { Decision, ReviewMode } from './decision.ts';
import type { ConflictPolicy } from './policies.ts';

/**
 * The entity as the mutation meets it; `missed` is a write of another device that the mutation's device had
 * not seen.
 */
type State =
  | 'absent'
  | 'seen'
  | 'missed another field'
  | 'missed the same value'
  | 'missed an earlier write'
  | 'missed a later write'
  | 'deleted, seen'
  | 'deleted earlier, missed'
  | 'deleted later, missed'
  | 'deleted earlier and made anew, missed'
  | 'deleted later and made anew, missed'
  | 'applied already';

type Expected =
  | 'applied'
  | 'merged'
  | 'merged, recorded'
  | 'superseded'
  | 'conflict'
  | 'server_changed'
  | 'append_only_violation'
  | 'op_not_allowed';

type Row = Readonly<Record<State, Expected>>;
type PolicyTable = Readonly<Record<MutationOp, Row>>;

const [EARLIER, LATER] = [OTHER.atMs - 50, OTHER.atMs + 50];
const other = (fieldWrites: FieldWrites, f: string): EntityState =>
  stateOf({ fieldWrites, data: { f, g: 'old' } });

const STATES: Readonly<
  Record<
    State,
    Pick<Meeting, 'current'> & { readonly atMs: number; readonly seen?: true; readonly own?: true }
  >
> = {
  absent: { current: null, atMs: LATER },
  seen: { current: LIVE, atMs: LATER, seen: true },
  'missed another field': { current: other({ '': SERVER, f: SERVER, g: OTHER }, 'x'), atMs: LATER },
  'missed the same value': { current: other(LIVE.fieldWrites, 'a'), atMs: LATER },
  'missed an earlier write': { current: LIVE, atMs: LATER },
  'missed a later write': { current: LIVE, atMs: EARLIER },
  'deleted, seen': { current: DELETED, atMs: LATER, seen: true },
  'deleted earlier, missed': { current: DELETED, atMs: LATER },
  'deleted later, missed': { current: DELETED, atMs: EARLIER },
  'deleted earlier and made anew, missed': { current: REMADE, atMs: LATER },
  'deleted later and made anew, missed': { current: REMADE, atMs: EARLIER },
  'applied already': { current: { ...LIVE, clock: { ...CLOCK, 'd:a': 1 } }, atMs: EARLIER, own: true },
};

interface Meeting {
  readonly mutation: MutationInput;
  readonly current: EntityState | null;
  readonly mayBeApplied: boolean;
}

function meet(op: MutationOp, state: State): Meeting {
  const { current, atMs, seen, own } = STATES[state];
  const data = op === 'delete' || op === 'merge' ? null : { f: 'a', ...(op === 'patch' ? {} : { g: 'old' }) };
  const mutation = { ...from(op, data, atMs), baseClock: seen ? CLOCK : BASE };
  return {
    mutation: op === 'merge' ? { ...mutation, update: 'AAA=' } : mutation,
    current,
    mayBeApplied: own ?? false,
  };
}

const all = (expected: Expected): Row => ({
  absent: expected,
  seen: expected,
  'missed another field': expected,
  'missed the same value': expected,
  'missed an earlier write': expected,
  'missed a later write': expected,
  'deleted, seen': expected,
  'deleted earlier, missed': expected,
  'deleted later, missed': expected,
  'deleted earlier and made anew, missed': expected,
  'deleted later and made anew, missed': expected,
  'applied already': expected,
});

const EDIT: Row = {
  absent: 'applied',
  seen: 'applied',
  'missed another field': 'merged',
  'missed the same value': 'merged',
  'missed an earlier write': 'merged, recorded',
  'missed a later write': 'superseded',
  'deleted, seen': 'applied',
  'deleted earlier, missed': 'merged, recorded',
  'deleted later, missed': 'superseded',
  'deleted earlier and made anew, missed': 'merged, recorded',
  'deleted later and made anew, missed': 'superseded',
  'applied already': 'applied',
};
/** A put names the whole entity: what else it wrote stands, also where one field lost. */
const PUT: Row = { ...EDIT, 'missed a later write': 'merged, recorded' };
const DELETE: Row = {
  ...EDIT,
  // A deletion takes every field: what it had not seen is a collision, whichever field it was.
  'missed another field': 'merged, recorded',
  'missed the same value': 'merged, recorded',
  'deleted earlier, missed': 'merged',
  'deleted later, missed': 'merged',
};
/**
 * Under review, what would be decided by time is decided by a person; what collides with nothing goes
 * through.
 */
const reviewed = (row: Row): Row => ({
  ...row,
  ...Object.fromEntries(
    Object.entries(row).flatMap(([state, expected]) =>
      expected === 'merged, recorded' || expected === 'superseded' ? [[state, 'conflict']] : [],
    ),
  ),
});
const AUTHORITATIVE: Row = {
  ...all('server_changed'),
  absent: 'applied',
  seen: 'applied',
  'deleted, seen': 'applied',
  'applied already': 'applied',
};
const APPEND: Row = {
  ...all('append_only_violation'),
  absent: 'applied',
  'missed the same value': 'applied',
  'applied already': 'applied',
};
const MERGE: Row = {
  ...all('merged'),
  absent: 'applied',
  seen: 'applied',
  'deleted, seen': 'applied',
  'deleted later, missed': 'superseded',
  'deleted later and made anew, missed': 'superseded',
  'applied already': 'applied',
};

const NO: Row = all('op_not_allowed');
const LWW: PolicyTable = { put: PUT, patch: EDIT, delete: DELETE, append: NO, merge: NO };
const LWW_REVIEWED: PolicyTable = {
  ...LWW,
  put: reviewed(PUT),
  patch: reviewed(EDIT),
  delete: reviewed(DELETE),
};
const VIOLATION = all('append_only_violation');

const TABLES: Readonly<Record<ConflictPolicy, Readonly<Record<ReviewMode, PolicyTable>>>> = {
  lww: { none: LWW, collisions: LWW_REVIEWED },
  crdt_yjs: {
    // Its text would not come back with the fields.
    none: { ...LWW, patch: { ...EDIT, 'deleted earlier, missed': 'superseded' }, merge: MERGE },
    collisions: { ...LWW_REVIEWED, merge: MERGE },
  },
  server_authoritative: bothModes({
    put: AUTHORITATIVE,
    patch: AUTHORITATIVE,
    delete: AUTHORITATIVE,
    append: NO,
    merge: NO,
  }),
  append_only: bothModes({
    put: VIOLATION,
    patch: VIOLATION,
    delete: VIOLATION,
    append: APPEND,
    merge: VIOLATION,
  }),
};

/** Review asks a person where there is a choice; these leave none. */
function bothModes(table: PolicyTable): Readonly<Record<ReviewMode, PolicyTable>> {
  return { none: table, collisions: table };
}

function named(decision: Decision): Expected {
  switch (decision.kind) {
    case 'supersede':
      return 'superseded';
    case 'hold':
      return 'conflict';
    case 'reject':
      if (decision.code === 'clock_limit_exceeded') throw new Error('no clock here is full');
      return decision.code;
    case 'submit':
      if (decision.status === 'applied') return 'applied';
      return decision.record === null ? 'merged' : 'merged, recorded';
  }
}

const CASES = Object.entries(TABLES).flatMap(([policy, byReview]) =>
  Object.entries(byReview).flatMap(([review, table]) =>
    Object.entries(table).map(([op, row]): [string, string, string, Row] => [policy, review, op, row]),
  ),
);

describe('the decision table', () => {
  it.each(CASES)('of %s (review: %s), %s', (policyName, reviewName, opName, row) => {
    const [policy, review, op] = [
      policyName as ConflictPolicy,
      reviewName as ReviewMode,
      opName as MutationOp,
    ];
    const decided = Object.keys(row).map((state) => {
      const meeting = meet(op, state as State);
      return [state, named(decide({ ...meeting, policy, review, serverNowMs: 1_000 }))];
    });
    expect(Object.fromEntries(decided)).toEqual(row);
  });

  it.each(CASES)('of %s (review: %s), %s keeps in a record whatever it does not let through', (...given) => {
    const [policy, review, op, row] = given as unknown as [ConflictPolicy, ReviewMode, MutationOp, Row];
    const refusedOp = (state: State): boolean =>
      row[state] === 'op_not_allowed' || (policy === 'append_only' && op !== 'append');
    for (const state of Object.keys(row) as State[]) {
      const meeting = meet(op, state);
      const decision = decide({ ...meeting, policy, review, serverNowMs: 1_000 });
      if (decision.kind === 'submit' || refusedOp(state)) continue;
      const { data, update } = meeting.mutation;
      expect(decision.record).toMatchObject({
        theirs: data,
        theirsUpdate: update,
        clockOurs: meeting.current?.clock,
      });
      expect(decision.record?.decision).toBe(decision.kind === 'hold' ? 'open' : 'auto');
    }
  });
});
