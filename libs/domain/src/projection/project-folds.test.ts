/**
 * The clock of an entity that was changed by more devices than it has entries for: `countChange` has the
 * rule.
 */
import { describe, expect, it } from '@jest/globals';
import type { VectorClock } from '@sync/vector-clock';
import { RULE, U1, changed, eventOf, headAfter } from '../testing/domain-changes.ts';
import { projectEvent } from './project-event.ts';
import type { DomainChange, EntityHead } from './projection.ts';

const full: VectorClock = Object.fromEntries([
  ['s:learning', 1],
  ...Array.from({ length: 253 }, (_, index) => [`d:${index}`, 3] as const),
]);
const head: EntityHead = { ...headAfter(RULE, U1), clock: full };
const after = (before: EntityHead, event: Partial<DomainChange>): EntityHead =>
  changed(
    projectEvent(before, eventOf(before.revision + 1, { ...U1, text: `at ${before.revision}` }, event), RULE),
  ).head;
const by = (device: string, mutationClock: VectorClock): Partial<DomainChange> => {
  return { mutationDeviceId: device, mutationClock };
};

describe('an owner that keeps no clocks', () => {
  it('has them folded, by a device that has no entry yet or by its own change', () => {
    const folded = after(head, by('new', { ...full, 'd:new': 1 }));
    expect(folded.clock).toEqual({ 's:learning': 1, 'd:new': 1, 's:folded': 4 });
    expect(folded.fieldWrites['text']).toEqual({ atMs: 20, by: 'd:new', counter: 1, folds: 4 });
    const without = { ...head, clock: { ...full, 'd:253': 1 } };
    expect(after(without, {}).clock).toEqual({ 's:learning': 2, 's:folded': 4 });
  });

  it('takes of a mutation that was made before a fold its own dot, and what it knows of services', () => {
    const folded = after(head, by('new', { 'd:new': 1 }));
    const late = after(folded, by('7', { ...full, 'd:7': 4, 's:other': 2 }));
    expect(late.clock).toEqual({ 's:learning': 1, 'd:new': 1, 'd:7': 4, 's:other': 2, 's:folded': 5 });
    expect(late.fieldWrites['text']).toEqual({ atMs: 30, by: 'd:7', counter: 4, folds: 5 });
  });

  it('counts a resolution from before a fold as a change of the service', () => {
    const folded = after(head, by('new', { 'd:new': 1 }));
    const resolved = after(folded, { mutationClock: full, mutationDeviceId: null });
    expect(resolved.clock).toEqual({ ...folded.clock, 's:learning': 2 });
    expect(resolved.fieldWrites['text']).toEqual({ atMs: 30, by: 's:learning', counter: 2 });
  });
});

describe('an owner that keeps clocks', () => {
  it('may fold them, and no entry comes back', () => {
    const clock = { 's:learning': 1, 'd:new': 1, 's:folded': 4 };
    const folded = after(head, { ...by('new', { 'd:new': 1 }), clock });
    expect(folded.clock).toEqual(clock);
    expect(folded.fieldWrites['text']).toEqual({ atMs: 20, by: 'd:new', counter: 1, folds: 4 });
    const next = after(folded, { ...by('7', { 'd:7': 9 }), clock: { ...clock, 'd:7': 9 } });
    expect(next.clock).toEqual({ ...clock, 'd:7': 9 });
    // What comes late is of a lower revision and stale; of one that forgets, what is known stays.
    expect(after(next, { clock: { 's:learning': 2, 's:folded': 4 } }).clock).toEqual({
      ...next.clock,
      's:learning': 2,
    });
  });
});
