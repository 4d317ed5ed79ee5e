import { describe, expect, it } from '@jest/globals';
import type { Outcome } from '@sync/protocol';
import { type Telling, tellOutcomes, withoutCurrent } from './tell-outcomes.ts';

const KIB = 1024;

/** @param entity of how many KiB, its name first */
function refusal(mutationId: string, name: string | null, kib: number, isKept = true): Telling {
  const text = `{"mutationId":"${mutationId}","status":"rejected"}`;
  const wire = `{"entityId":"${name}","data":"${'x'.repeat(kib * KIB)}"}`;
  return { mutationId, text, shown: name === null ? null : { wire }, isKept, scope: null };
}

const toldOf = (tellings: readonly Telling[], maxBytes?: number): Partial<Outcome>[] =>
  tellOutcomes(tellings, maxBytes).map((text) => JSON.parse(text) as Outcome);
const shows = (told: readonly Partial<Outcome>[]): (string | undefined)[] =>
  told.map(({ current, currentOf }) => current?.entityId ?? currentOf);

describe('the outcomes of one answer', () => {
  it('show a large entity once, and name the outcome that does', () => {
    const told = toldOf(['m1', 'm2', 'm3'].map((id) => refusal(id, 'e', 300)));
    expect(shows(told)).toEqual(['e', 'm1', 'm1']);
    expect(told[1]).toEqual({ mutationId: 'm2', status: 'rejected', currentOf: 'm1' });
  });

  it('show smaller ones each time, as long as all those copies have 256 KiB', () => {
    const told = toldOf(['m1', 'm2', 'm3', 'm4', 'm5'].map((id) => refusal(id, 'e', 80)));
    expect(shows(told)).toEqual(['e', 'e', 'e', 'e', 'm1']);
  });

  it('are accepted where their entity has no room, and so is each other one of it; smaller ones may have', () => {
    const tellings = [
      refusal('m1', 'a', 5),
      refusal('m2', 'b', 6),
      refusal('m3', 'b', 6),
      refusal('m4', 'c', 4),
    ];
    const told = toldOf(tellings, 10 * KIB);
    expect(told.map(({ status }) => status)).toEqual(['rejected', 'accepted', 'accepted', 'rejected']);
    expect(shows(told)).toEqual(['a', undefined, undefined, 'c']);
  });

  it('show the first entity however large it is', () => {
    expect(shows(toldOf([refusal('m1', 'a', 20)], 10 * KIB))).toEqual(['a']);
  });

  it('are never accepted when nobody keeps them', () => {
    const told = toldOf([refusal('m1', 'a', 9), refusal('m2', 'b', 9, false)], 10 * KIB);
    expect(told[1]).toEqual({ mutationId: 'm2', status: 'rejected' });
  });

  it('name the scope of each, whatever they show', () => {
    const named = [refusal('m1', 'a', 5), refusal('m2', 'a', 300), refusal('m3', null, 0)].map((one) => {
      return { ...one, scope: `course:${one.mutationId}` };
    });
    expect(toldOf(named)).toMatchObject(
      ['m1', 'm2', 'm3'].map((mutationId) => ({ mutationId, scope: `course:${mutationId}` })),
    );
  });

  it('are told as they are where there is nothing to show', () => {
    expect(toldOf([refusal('m1', null, 0)])).toEqual([{ mutationId: 'm1', status: 'rejected' }]);
  });
});

it.each([
  ['{"mutationId":"m","status":"rejected","code":"data_invalid"}', 'as it is'],
  ['{"mutationId":"m","status":"rejected","message":"\\",\\"current\\":\\""}', 'as it is'],
  [
    '{"mutationId":"m","status":"merged","clock":{},"current":{"data":{"a":1,"current":{}}}}',
    '{"mutationId":"m","status":"merged","clock":{}}',
  ],
  ['{"mutationId":"m","status":"applied","clock":{}}', null],
  ['{"mutationId":"m","status":"accepted"}', null],
])('takes the entity out of %s', (text, bare) => {
  expect(withoutCurrent(text)).toBe(bare === 'as it is' ? text : bare);
});
