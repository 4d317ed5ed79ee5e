import { describe, expect, it } from '@jest/globals';
import type { JsonObject, JsonValue } from '@sync/domain';
import fc from 'fast-check';
import { DEVICE_DELETED, FIELDS, NESTED, SERVER_DELETED, SUGGESTED } from '../testing/example-records.ts';
import { NO_CHOICES, keepChoices, mergeRows, ownChoice, resolutionOf, resultOf, takeAll } from './choices.ts';
import type { Choice, Choices } from './choices.ts';
import { compareFields, sameCell } from './field-rows.ts';
import type { FieldRow } from './field-rows.ts';
import { type Sides, recordedServer, sidesOf } from './sides.ts';

const FIELD_NAMES = ['', 'a', 'b', 'c', 'd', '__proto__', 'constructor'];
const values = fc.oneof(
  fc.constantFrom<JsonValue>('x', 'y', 1, true, null, '', 'one two three', 'one 2 three', 'one two 3'),
  fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
  fc.dictionary(fc.constantFrom('k', 'l'), fc.integer({ min: 0, max: 2 }), { noNullPrototype: true }),
);
const objects: fc.Arbitrary<JsonObject> = fc
  .array(fc.tuple(fc.constantFrom(...FIELD_NAMES), values))
  .map((fields) => Object.fromEntries(fields));
const sides: fc.Arbitrary<Sides> = fc.record({
  base: fc.option(objects),
  baseUnknown: fc.subarray(FIELD_NAMES),
  server: fc.option(objects, { freq: 6 }),
  device: fc.option(objects, { freq: 6 }),
});

const rowsOf = (record: typeof FIELDS): FieldRow[] => compareFields(sidesOf(record, recordedServer(record)));
const choose = (...choices: [string, Choice][]): Choices => new Map(choices);

describe('any three versions', () => {
  it('taken from one side are exactly that side', () => {
    fc.assert(
      fc.property(sides, fc.constantFrom('server' as const, 'device' as const), (three, from) => {
        const rows = compareFields(three);
        const { data, undecided } = mergeRows(three, rows, takeAll(rows, from));
        expect(undecided).toEqual([]);
        expect(data).toEqual(three[from]);
        const { kind } = resolutionOf(three, rows, takeAll(rows, from)) ?? {};
        expect(kind === 'merged' || kind === 'accept_suggestion').toBe(false);
      }),
    );
  });

  it('have a row for each field of any of them, and once', () => {
    fc.assert(
      fc.property(sides, (three) => {
        const { base, server, device } = three;
        if (!server || !device) return;
        const fields = compareFields(three).map(({ field }) => field);
        expect(new Set(fields).size).toBe(fields.length);
        const all = [base ?? {}, server, device].flatMap((each) => Object.keys(each));
        expect(new Set(fields)).toEqual(new Set(all));
      }),
    );
  });

  it('merge by themselves where one side alone, or neither, has changed a field', () => {
    fc.assert(
      fc.property(objects, objects, (base, changes) => {
        const device = { ...base, ...changes };
        const untouched = { base, baseUnknown: [], server: base, device };
        const rows = compareFields(untouched);
        expect(mergeRows(untouched, rows, NO_CHOICES)).toEqual({ undecided: [], invalid: [], data: device });
        const other = { base, baseUnknown: [], server: device, device: base };
        expect(mergeRows(other, compareFields(other), NO_CHOICES).data).toEqual(device);
      }),
    );
  });

  it('lose nothing silently: what differs from both sides was chosen, or stands on neither', () => {
    fc.assert(
      fc.property(sides, (three) => {
        const rows = compareFields(three);
        const { undecided } = mergeRows(three, rows, NO_CHOICES);
        for (const row of rows) {
          const result = resultOf(row, NO_CHOICES);
          const isContested = undecided.includes(row.field);
          expect(isContested).toBe(row.change === 'both');
          if (!isContested) expect([row.server, row.device]).toContainEqual(result);
        }
        const isOpen = resolutionOf(three, rows, NO_CHOICES) === null;
        expect(isOpen).toBe(undecided.length > 0);
      }),
    );
  });

  it('with no known base contest each field in which they differ', () => {
    fc.assert(
      fc.property(objects, objects, (server, device) => {
        const rows = compareFields({ base: null, baseUnknown: [''], server, device });
        expect(rows.filter(({ change }) => change !== 'none' && change !== 'both')).toEqual([]);
      }),
    );
  });

  it('keep the chosen of a field until either side of it is another', () => {
    fc.assert(
      fc.property(sides, objects, (three, changes) => {
        const before = compareFields(three);
        const choices = takeAll(before, 'device');
        expect(keepChoices(choices, before, before)).toEqual(choices);
        if (!three.server || !three.device) return;
        const now = compareFields({ ...three, server: { ...three.server, ...changes } });
        const kept = keepChoices(choices, before, now);
        for (const { field, server } of now) {
          const row = before.find((each) => each.field === field);
          const isSame = row !== undefined && sameCell(row.server, server);
          expect(kept.has(field)).toBe(isSame);
        }
      }),
    );
  });
});

describe('a record', () => {
  it('of a patch contests what it names, and what both have changed', () => {
    expect(rowsOf(FIELDS).map(({ field, change }) => [field, change])).toEqual([
      ['title', 'both'],
      ['text', 'both'],
      ['places', 'device'],
      ['isOpen', 'none'],
      ['tags', 'none'],
    ]);
  });

  it('of a put takes away what it does not name', () => {
    const three = sidesOf(NESTED, recordedServer(NESTED));
    const rows = compareFields(three);
    expect(rows.map(({ field, change }) => [field, change])).toEqual([
      ['slots', 'device'],
      ['room', 'both'],
      ['note', 'device'],
      ['isFixed', 'device'],
    ]);
    expect(mergeRows(three, rows, choose(['room', { from: 'server' }])).data).toEqual({
      ...NESTED.theirs,
      room: 'A 12',
    });
  });

  it.each([
    ['the server', SERVER_DELETED, 'keep_server', 'keep_client'],
    ['the device', DEVICE_DELETED, 'keep_client', 'keep_server'],
  ] as const)('that %s has deleted is decided as a whole', (_who, record, gone, kept) => {
    const three = sidesOf(record, recordedServer(record));
    const rows = compareFields(three);
    expect(rows).toMatchObject([{ field: '', change: 'both' }]);
    const kindOf = (from: 'server' | 'device') => resolutionOf(three, rows, takeAll(rows, from))?.kind;
    const [deleter, other] =
      record === SERVER_DELETED ? (['server', 'device'] as const) : (['device', 'server'] as const);
    expect([kindOf(deleter), kindOf(other)]).toEqual([gone, kept]);
  });

  it('that both have deleted asks nothing', () => {
    const three = { base: null, baseUnknown: [], server: null, device: null };
    expect(compareFields(three)).toEqual([]);
    expect(resolutionOf(three, [], NO_CHOICES)).toEqual({ kind: 'keep_server' });
  });

  it('is looked at against what the server has now', () => {
    const rows = compareFields(
      sidesOf(FIELDS, { data: { ...FIELDS.ours, places: 30 }, clock: { 's:owner': 3 } }),
    );
    expect(rows.find(({ field }) => field === 'places')).toMatchObject({
      change: 'both',
      server: { value: 30 },
    });
  });

  it('with a suggestion accepts it only where all of it, and nothing else, was chosen', () => {
    const three = sidesOf(SUGGESTED, recordedServer(SUGGESTED));
    const rows = compareFields(three);
    const all = takeAll(rows, 'suggestion');
    expect(resolutionOf(three, rows, all)).toEqual({ kind: 'accept_suggestion', suggestionId: 's-1' });
    const partly = new Map([...all, ['places', { from: 'server' }] as const]);
    expect(resolutionOf(three, rows, partly)).toMatchObject({
      kind: 'merged',
      data: { title: 'Class trip of 4b to the mountains', places: 24 },
    });
  });

  it('is merged with what somebody typed, once it is JSON', () => {
    const three = sidesOf(NESTED, recordedServer(NESTED));
    const rows = compareFields(three);
    const slots = rows.find(({ field }) => field === 'slots');
    if (!slots) throw new Error('no slots');
    expect(ownChoice(slots, NO_CHOICES)).toMatchObject({ format: 'json' });
    const room: [string, Choice] = ['room', { from: 'own', format: 'text', text: '"B 3' }];
    const typed = (text: string) => choose(room, ['slots', { from: 'own', format: 'json', text }]);
    expect(mergeRows(three, rows, typed('[1,'))).toMatchObject({ invalid: ['slots'] });
    expect(resolutionOf(three, rows, typed('[1,'))).toBeNull();
    expect(resolutionOf(three, rows, typed('[1]'))).toEqual({
      kind: 'merged',
      data: { ...NESTED.theirs, slots: [1], room: '"B 3' },
    });
  });
});
