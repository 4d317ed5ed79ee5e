import { expect, it } from '@jest/globals';
import { refused, type Settled, type Work } from '../outcome/settlement.ts';
import { LaneEnds } from './lane-ends.ts';

const workIn = (scope: string): Work => ({ mutation: { scope } }) as Work;
const large = (text: string): string => `"${text.repeat(5_000)}"`;
const refusal = (current: string): Settled => refused({ code: 'data_invalid', message: '/text' }, current);
const merge = (current: string): Settled => ({ kind: 'settled', status: 'merged', current });

it('shows what a merge came to in place of what its entity was before, in the same scope', () => {
  const ends = new LaneEnds();
  const [first, second, third, other] = ['s', 's', 's', 'elsewhere'].map(workIn) as [Work, Work, Work, Work];
  ends.set(first, refusal(large('a')));
  ends.set(other, refusal(large('a')));
  ends.set(second, merge(large('b')));
  ends.set(third, refusal(large('c')));
  const shown = [first, second, third, other].map((work) => {
    const end = ends.get(work);
    return end?.kind === 'settled' ? end.current?.[1] : null;
  });
  expect(shown).toEqual(['b', 'b', 'c', 'a']);
});

it('leaves small ones as they are', () => {
  const ends = new LaneEnds();
  const [first, second] = [workIn('s'), workIn('s')];
  ends.set(first, refusal('"a"')).set(second, merge(large('b')));
  expect(ends.get(first)).toMatchObject({ current: '"a"' });
});
