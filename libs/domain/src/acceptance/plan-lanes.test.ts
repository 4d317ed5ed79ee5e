import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { planLanes } from './plan-lanes.ts';
import type { LaneItem, LanePlan } from './plan-lanes.ts';

/** `lane('a1', 'note', ['b1'])`: mutation a1 of entity `note`, depending on b1. */
const lane = (mutationId: string, entityId: string, dependsOn: string[] = []): LaneItem => {
  return { mutationId, entityType: 'thing', entityId, dependsOn };
};

describe('planLanes', () => {
  it('plans nothing for nothing', () => {
    expect(planLanes([])).toEqual({ waves: [], blocked: new Map(), external: new Map() });
  });

  it('runs everything at once when nothing depends on anything', () => {
    expect(planLanes([lane('a1', 'a'), lane('b1', 'b'), lane('a2', 'a')]).waves).toEqual([[0, 1, 2]]);
  });

  it('keeps a lane in one wave, in order, also when its mutations depend on each other', () => {
    expect(
      planLanes([lane('a1', 'a'), lane('a2', 'a', ['a1']), lane('a3', 'a', ['a1', 'a2'])]).waves,
    ).toEqual([[0, 1, 2]]);
  });

  it('puts a dependent of another entity, and the rest of its lane, into a later wave', () => {
    const plan = planLanes([lane('a1', 'a'), lane('b1', 'b'), lane('b2', 'b', ['a1']), lane('b3', 'b')]);
    expect(plan.waves).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it('follows chains across lanes', () => {
    const plan = planLanes([
      lane('a1', 'a'),
      lane('b1', 'b', ['a1']),
      lane('a2', 'a', ['b1']),
      lane('c1', 'c'),
    ]);
    expect(plan.waves).toEqual([[0, 3], [1], [2]]);
  });

  it('lets a dependency point forward in the batch', () => {
    expect(planLanes([lane('a1', 'a', ['b1']), lane('b1', 'b')]).waves).toEqual([[1], [0]]);
  });

  it('tells entity types apart that share an id', () => {
    const note = { ...lane('n1', 'x'), entityType: 'note' };
    const progress = { ...lane('p1', 'x', ['n1']), entityType: 'progress' };
    expect(planLanes([note, progress]).waves).toEqual([[0], [1]]);
  });

  it('hands out the dependencies that are not in the batch, each once', () => {
    const plan = planLanes([lane('a1', 'a', ['old2', 'b1', 'old1', 'old2']), lane('b1', 'b')]);
    expect(plan.external).toEqual(new Map([[0, ['old2', 'old1']]]));
    expect(plan.waves).toEqual([[1], [0]]);
  });

  it('blocks a circle and what depends on it, and nothing else', () => {
    const plan = planLanes([
      lane('a1', 'a', ['b1']),
      lane('b1', 'b', ['a1']),
      lane('c1', 'c', ['b1']),
      lane('d1', 'd', ['c1']),
      lane('e1', 'e'),
    ]);
    expect([...plan.blocked].sort(([a], [b]) => a - b)).toEqual([
      [0, 'dependency_cycle'],
      [1, 'dependency_cycle'],
      [2, 'dependency_failed'],
      [3, 'dependency_failed'],
    ]);
    expect(plan.waves).toEqual([[4]]);
  });

  it('blocks a mutation that depends on itself', () => {
    const plan = planLanes([lane('a1', 'a', ['a1']), lane('a2', 'a')]);
    expect(plan.blocked).toEqual(new Map([[0, 'dependency_cycle']]));
    expect(plan.waves).toEqual([[1]]);
  });

  it('sees a circle that closes through the order of a lane', () => {
    const contradiction = planLanes([lane('a1', 'a', ['a2']), lane('a2', 'a')]);
    expect([...contradiction.blocked.keys()].sort()).toEqual([0, 1]);
    const crossed = planLanes([
      lane('a1', 'a', ['b2']),
      lane('a2', 'a'),
      lane('b1', 'b', ['a2']),
      lane('b2', 'b'),
    ]);
    expect([...crossed.blocked.values()]).toEqual(new Array(4).fill('dependency_cycle'));
  });

  it('lets a lane go on behind a blocked mutation, but not overtake what was before it', () => {
    const plan = planLanes([
      lane('x1', 'x'),
      lane('a1', 'a', ['x1']),
      lane('a2', 'a', ['b1']),
      lane('b1', 'b', ['a2']),
      lane('a3', 'a'),
    ]);
    expect([...plan.blocked.keys()].sort()).toEqual([2, 3]);
    expect(plan.waves).toEqual([[0], [1, 4]]);
  });

  it('takes the first of two equal ids for both', () => {
    const plan = planLanes([lane('a1', 'a'), lane('a1', 'b'), lane('c1', 'c', ['a1'])]);
    expect(plan.waves).toEqual([[0, 1], [2]]);
  });

  it('plans a full batch of dependencies without deep recursion', () => {
    const chain = Array.from({ length: 20_000 }, (_, index) =>
      lane(`m${index}`, `e${index}`, index === 0 ? [] : [`m${index - 1}`]),
    );
    const plan = planLanes(chain.toReversed());
    expect(plan.waves).toHaveLength(20_000);
    expect(plan.waves[0]).toEqual([19_999]);
  });
});

describe('every plan', () => {
  const batch = fc
    .array(
      fc.record({
        entityId: fc.constantFrom('a', 'b', 'c', 'd'),
        dependsOn: fc.array(fc.nat({ max: 9 }), { maxLength: 2 }),
      }),
      { maxLength: 9 },
    )
    .map((items) =>
      items.map(({ entityId, dependsOn }, index) =>
        lane(
          `m${index}`,
          entityId,
          dependsOn.map((target) => `m${target}`),
        ),
      ),
    );
  const waveOf = (plan: LanePlan, index: number): number =>
    plan.waves.findIndex((wave) => wave.includes(index));
  const check = (law: (items: LaneItem[], plan: LanePlan) => void): void => {
    fc.assert(
      fc.property(batch, (items) => law(items, planLanes(items))),
      { numRuns: 500 },
    );
  };

  it('has each mutation once, in a wave or blocked, and no empty wave', () => {
    check((items, plan) => {
      const all = [...plan.waves.flat(), ...plan.blocked.keys()].sort((a, b) => a - b);
      expect(all).toEqual(items.map((_, index) => index));
      expect(plan.waves.every((wave) => wave.length > 0)).toBe(true);
    });
  });

  it('keeps the order of each lane', () => {
    check((items, plan) => {
      for (const { entityId } of items) {
        const run = plan.waves.flat().filter((index) => items[index]?.entityId === entityId);
        expect(run).toEqual(run.toSorted((a, b) => a - b));
      }
    });
  });

  it('has each dependency before its dependent, of another lane in an earlier wave', () => {
    check((items, plan) => {
      for (const index of plan.waves.flat()) {
        for (const id of items[index]?.dependsOn ?? []) {
          const dependency = items.findIndex(({ mutationId }) => mutationId === id);
          if (dependency < 0) {
            expect(plan.external.get(index)).toContain(id);
          } else {
            const sameLane = items[dependency]?.entityId === items[index]?.entityId;
            expect(waveOf(plan, dependency)).toBeLessThan(waveOf(plan, index) + (sameLane ? 1 : 0));
            expect(waveOf(plan, dependency)).toBeGreaterThanOrEqual(0);
          }
        }
      }
    });
  });

  it('blocks exactly what waits for itself, and what depends on that', () => {
    check((items, plan) => {
      const targets = items.map(({ entityId, dependsOn }, index) => {
        const before = items.findLastIndex((item, at) => at < index && item.entityId === entityId);
        const inside = dependsOn.map((id) => items.findIndex(({ mutationId }) => mutationId === id));
        return { before, dependencies: inside.filter((at) => at >= 0) };
      });
      const reaches = (from: number, goal: number, seen = new Set<number>()): boolean => {
        const { before = -1, dependencies = [] } = targets[from] ?? {};
        return [before, ...dependencies].some((next) => {
          if (next < 0 || seen.has(next)) return false;
          seen.add(next);
          return next === goal || reaches(next, goal, seen);
        });
      };
      const cyclic = items.map((_, index) => reaches(index, index));
      const failed = items.map(() => false);
      // To a fixed point: as many rounds as there can be links in a chain.
      for (const _round of items) {
        targets.forEach(({ dependencies }, index) => {
          if (!cyclic[index]) failed[index] = dependencies.some((at) => cyclic[at] || failed[at]);
        });
      }
      const expected = items.map((_, index) =>
        cyclic[index] ? 'dependency_cycle' : failed[index] ? 'dependency_failed' : undefined,
      );
      expect(items.map((_, index) => plan.blocked.get(index))).toEqual(expected);
    });
  });
});
