/**
 * What holds for every policy: the same answer for the same question, no double effect, no value lost without
 * a record.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mutationWrite } from '../entity.ts';
import type { EntityState, FieldWrites, MutationInput, Write } from '../entity.ts';
import { deepEqualJson, readField } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { INITIAL, history, linearExtensions } from '../testing/histories.ts';
import { lostValues } from '../testing/kept-values.ts';
import { ServerModel, mutationOf } from '../testing/server-model.ts';
import { decide, wantsDeletedData } from './decide.ts';
import type { DecisionInput } from './decision.ts';
import { compareWrites } from './field-writes.ts';
import { POLICIES } from './policies.ts';
import type { ConflictPolicy } from './policies.ts';

const policies = Object.keys(POLICIES) as ConflictPolicy[];

const RUNS = 2_000;
const field = fc.constantFrom('f', 'g', 'h');
const data = fc.dictionary(field, fc.nat({ max: 2 }), { noNullPrototype: true });
const clock = fc.dictionary(fc.constantFrom('d:a', 'd:b', 's:svc'), fc.integer({ min: 1, max: 3 }), {
  noNullPrototype: true,
});
const write: fc.Arbitrary<Write> = fc.record({
  atMs: fc.nat({ max: 8 }),
  by: fc.constantFrom('d:a', 'd:b', 's:svc'),
  counter: fc.integer({ min: 1, max: 3 }),
});
const fieldWrites = fc.dictionary(
  fc.constantFrom('', 'f', 'g', 'h'),
  fc.oneof(
    write,
    fc.record({ atMs: fc.nat({ max: 8 }), by: fc.constant('d:b'), counter: fc.nat(3), removedBy: write }),
  ),
  { noNullPrototype: true },
) as fc.Arbitrary<FieldWrites>;

/** Any state, reachable or not: a decision must hold for whatever a projection once wrote. */
const state: fc.Arbitrary<EntityState | null> = fc.option(
  fc
    .record({
      clock,
      data,
      deleted: fc.boolean(),
      kept: fc.option(data),
      fieldWrites,
      revision: fc.nat({ max: 9 }),
    })
    .map(({ data: present, deleted, kept, ...rest }) => ({
      ...rest,
      revision: rest.revision + 1,
      deleted,
      data: deleted ? null : present,
      deletedData: deleted ? kept : null,
    })),
);

const input: fc.Arbitrary<DecisionInput> = fc
  .record({
    policy: fc.constantFrom(...policies),
    review: fc.constantFrom('none' as const, 'collisions' as const),
    pick: fc.nat(),
    data,
    baseClock: clock,
    atMs: fc.nat({ max: 8 }),
    current: state,
    mayBeApplied: fc.boolean(),
  })
  .map(({ policy, review, pick, data: sent, baseClock, atMs, current, mayBeApplied }) => {
    const { ops } = POLICIES[policy];
    const op = ops[pick % ops.length] ?? 'put';
    const carries = op !== 'delete' && op !== 'merge';
    const mutation = mutationOf({
      deviceId: 'a',
      op,
      data: carries ? sent : null,
      update: op === 'merge' ? 'AAA=' : null,
      baseClock,
      occurredAtMs: atMs,
    });
    return { mutation, current, policy, review, serverNowMs: 9, mayBeApplied };
  });

describe('any decision', () => {
  it('is the same for the same question, which it leaves as it was', () => {
    fc.assert(
      fc.property(input, (question) => {
        const before = JSON.stringify(question);
        expect(decide(question)).toEqual(decide(JSON.parse(before) as DecisionInput));
        expect(JSON.stringify(question)).toBe(before);
      }),
      { numRuns: 1_000 },
    );
  });

  it('looks at what was deleted only where the mutation brings it back, and shows it nowhere else', () => {
    fc.assert(
      fc.property(input, (question) => {
        const { current } = question;
        fc.pre(current !== null && !wantsDeletedData(question));
        expect(decide(question)).toEqual(decide({ ...question, current: { ...current, deletedData: null } }));
      }),
      { numRuns: RUNS },
    );
  });

  it('lets every value that was sent stand, or keeps it in a record', () => {
    fc.assert(
      fc.property(input, (question) => {
        const decision = decide(question);
        const { data: sent, update } = question.mutation;
        const through = decision.kind === 'submit' ? (decision.data ?? {}) : {};
        const missing = Object.entries(sent ?? {}).filter(
          ([name, value]) => !deepEqualJson(readField(through, name), value),
        );
        const updateLost = update !== null && (decision.kind !== 'submit' || decision.update !== update);
        // What stands on the server already need not be sent.
        const lost = missing.filter(
          ([name, value]) => !deepEqualJson(readField(question.current?.data ?? {}, name), value),
        );
        if (lost.length > 0 || updateLost) {
          expect(decision.record).toMatchObject({ theirs: sent, theirsUpdate: update });
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('keeps every value of the server that it overwrites unseen, or leaves it to a person', () => {
    fc.assert(
      fc.property(input, (question) => {
        const decision = decide({ ...question, mayBeApplied: false });
        const { current, mutation } = question;
        if (decision.kind !== 'submit' || decision.status === 'applied' || !current?.data) return;
        if (decision.op === 'merge') return;
        const after: JsonObject =
          decision.op === 'patch' ? { ...current.data, ...decision.data } : (decision.data ?? {});
        for (const [name, value] of Object.entries(current.data)) {
          const known = current.fieldWrites[name];
          const seen = known && isSeen(mutation, known);
          // The very same write, come again: what stands is its own effect, as its owner may have normalised
          // it.
          const own = known && compareWrites(known, mutationWrite(mutation)) === 0;
          if (seen || own || deepEqualJson(readField(after, name), value)) continue;
          const kept = decision.record?.fields.find((conflict) => conflict.field === name);
          expect({ name, ours: kept?.ours }).toEqual({ name, ours: value });
        }
      }),
      { numRuns: RUNS },
    );
  });
});

function isSeen({ baseClock }: MutationInput, known: FieldWrites[string]): boolean {
  const dots = [known, ...(known.removedBy ? [known.removedBy] : [])];
  return dots.some(({ by, counter }) => (baseClock[by] ?? 0) >= counter);
}

describe.each(['lww', 'crdt_yjs', 'server_authoritative'] as const)('a history under %s', (policy) => {
  const options = {
    ops: ['patch', 'put', 'delete'],
    maxLength: 5,
    equalValues: false,
    causal: true,
    wildTimes: true,
  } as const;

  function run(mutations: readonly MutationInput[]): ServerModel {
    const server = new ServerModel({ policy, passesDecidedWrites: true });
    server.changeOnServer(INITIAL, 0);
    for (const mutation of mutations) server.push(mutation);
    return server;
  }

  it('loses no value without a record, in whatever order it arrives', () => {
    fc.assert(
      fc.property(history(options), fc.nat(), (mutations, pick) => {
        const orders = [...linearExtensions(mutations)].slice(0, 120);
        const { head, records } = run(orders[pick % orders.length] ?? mutations);
        expect(lostValues(mutations, { data: head?.data ?? null, records })).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('has no second effect when a mutation comes again', () => {
    fc.assert(
      fc.property(history(options), (mutations) => {
        const server = run([]);
        for (const mutation of mutations) {
          server.push(mutation);
          const before = server.head?.data;
          server.push(mutation);
          expect(server.head?.data).toEqual(before);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('appends under one id', () => {
  it('keep the first in whatever order the others come, and each other one in a record', () => {
    fc.assert(
      fc.property(fc.array(data, { minLength: 1, maxLength: 5 }), (contents) => {
        const server = new ServerModel({ policy: 'append_only', passesDecidedWrites: true });
        const appends = contents.map((content, index) =>
          mutationOf({ mutationId: `m${index}`, deviceId: `d${index}`, op: 'append', data: content }),
        );
        for (const append of [...appends, ...appends]) {
          if (server.push(append).kind !== 'submit') continue;
          expect(readAll(server.head?.data ?? {}, append.data ?? {})).toBe(true);
        }
        expect(server.head?.data).toEqual(contents[0]);
        const kept = server.records.map(({ theirs }) => JSON.stringify(theirs));
        for (const content of contents) {
          expect(readAll(contents[0] ?? {}, content) || kept.includes(JSON.stringify(content))).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

function readAll(stored: JsonObject, sent: JsonObject): boolean {
  return Object.entries(sent).every(([name, value]) => deepEqualJson(readField(stored, name), value));
}
