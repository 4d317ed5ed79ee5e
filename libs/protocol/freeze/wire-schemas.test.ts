import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import Type, { type TSchema } from 'typebox';
import { PROTOCOL_VERSION, VERSION_HISTORY } from '../src/version/history.ts';
import type { VersionEntry } from '../src/version/history.ts';
import { compareSchemas, normalizeSchema } from './compare-schemas.ts';
import type { Reader, Schema, SchemaChange } from './compare-schemas.ts';
import { changedNames, hashOf, lockOf, reviewWire } from './review-wire.ts';
import type { WireLock } from './review-wire.ts';
import { WIRE_SCHEMAS } from './wire-schemas.ts';

describe('the frozen wire (F07)', () => {
  const now = lockOf(WIRE_SCHEMAS, PROTOCOL_VERSION);
  const readLock = async (): Promise<WireLock> =>
    JSON.parse(
      await readFile(resolve(import.meta.dirname, '../src/version/wire-schemas.lock.json'), 'utf8'),
    ) as WireLock;

  it('changes only with a version decision', async () => {
    expect(reviewWire(await readLock(), now, VERSION_HISTORY)).toEqual([]);
  });

  it('is what the lock says; after a decision: npm run lock-wire-schemas -w @sync/protocol', async () => {
    const lock = await readLock();
    expect({ version: lock.version, changed: changedNames(lock, now) }).toEqual({
      version: PROTOCOL_VERSION,
      changed: [],
    });
  });

  it('has a lock whose hashes fit its schemas', async () => {
    for (const [name, { hash, schema }] of Object.entries((await readLock()).schemas)) {
      expect({ name, hash }).toEqual({ name, hash: hashOf(schema) });
    }
  });

  it('counts its versions up by one', () => {
    expect(VERSION_HISTORY.map(({ version }) => version)).toEqual(
      VERSION_HISTORY.map((_entry, index) => `1.${index}.0`),
    );
  });

  it('names every message once', () => {
    const names = WIRE_SCHEMAS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

const compare = (before: TSchema, after: TSchema, reader: Reader): SchemaChange[] =>
  compareSchemas(normalizeSchema(before) as Schema, normalizeSchema(after) as Schema, reader);
const verdictOf = (changes: readonly SchemaChange[]): string => {
  if (changes.length === 0) return 'same';
  return changes.some(({ verdict }) => verdict === 'breaking') ? 'breaking' : 'additive';
};

const base = Type.Object({ a: Type.String(), b: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })) });
const enumOf = (...values: string[]): TSchema => Type.Object({ kind: Type.Enum(values) });
const open = (...values: string[]): TSchema => Type.Object({ kind: Type.Enum(values, { 'x-open': true }) });

/** What, before, after, verdict when the platform reads, verdict when others read. */
const CASES: readonly [string, TSchema, TSchema, string, string][] = [
  ['nothing', base, base, 'same', 'same'],
  [
    'another description',
    base,
    Type.Object(base.properties, { description: 'x', title: 'y' }),
    'same',
    'same',
  ],
  [
    'a new optional field',
    base,
    Type.Object({ ...base.properties, c: Type.Optional(Type.Null()) }),
    'additive',
    'additive',
  ],
  ['a new required field', base, Type.Object({ ...base.properties, c: Type.Null() }), 'breaking', 'additive'],
  ['a field removed', base, Type.Object({ a: Type.String() }), 'breaking', 'breaking'],
  ['a field renamed', base, Type.Object({ z: Type.String(), b: base.properties.b }), 'breaking', 'breaking'],
  ['a field now required', base, Type.Required(base), 'breaking', 'additive'],
  ['a field no longer required', base, Type.Partial(base), 'additive', 'breaking'],
  ['another type', base, Type.Object({ ...base.properties, a: Type.Integer() }), 'breaking', 'breaking'],
  [
    'a field called title',
    Type.Object({ title: Type.String() }),
    Type.Object({ title: Type.Integer() }),
    'breaking',
    'breaking',
  ],
  ['a new enum value', enumOf('x'), enumOf('x', 'y'), 'additive', 'breaking'],
  ['a new value of an open enum', open('x'), open('x', 'y'), 'additive', 'additive'],
  ['an enum value removed', enumOf('x', 'y'), enumOf('x'), 'breaking', 'additive'],
  ['an enum opened', enumOf('x'), open('x'), 'additive', 'additive'],
  ['an enum closed', open('x'), enumOf('x'), 'breaking', 'breaking'],
  ['a text that becomes an enum', Type.String(), Type.Enum(['x']), 'breaking', 'breaking'],
  ['a constant that gets a sibling', Type.Literal('x'), Type.Enum(['x', 'y']), 'breaking', 'breaking'],
  ['a higher maximum', Type.Integer({ maximum: 9 }), Type.Integer({ maximum: 10 }), 'additive', 'breaking'],
  ['a lower maximum', Type.Integer({ maximum: 9 }), Type.Integer({ maximum: 8 }), 'breaking', 'additive'],
  ['a higher minimum', Type.Integer({ minimum: 1 }), Type.Integer({ minimum: 2 }), 'breaking', 'additive'],
  ['a new bound', Type.Array(Type.Null()), Type.Array(Type.Null(), { maxItems: 5 }), 'breaking', 'additive'],
  ['a bound dropped', Type.String({ minLength: 1 }), Type.String(), 'additive', 'breaking'],
  ['another pattern', Type.String({ pattern: 'a' }), Type.String({ pattern: 'b' }), 'breaking', 'breaking'],
  [
    'a new optional field inside an array',
    Type.Array(base),
    Type.Array(Type.Object({ ...base.properties, c: Type.Optional(Type.Null()) })),
    'additive',
    'additive',
  ],
  [
    'a variant appended',
    Type.Union([base, Type.Null()]),
    Type.Union([base, Type.Null(), Type.String()]),
    'additive',
    'breaking',
  ],
  [
    'a variant appended to an open list',
    Type.Union([base], { 'x-open': true }),
    Type.Union([base, Type.Null()], { 'x-open': true }),
    'additive',
    'additive',
  ],
  ['a variant removed', Type.Union([base, Type.Null()]), Type.Union([base]), 'breaking', 'additive'],
  [
    'a variant changed',
    Type.Union([base, Type.Null()]),
    Type.Union([base, Type.String()]),
    'breaking',
    'breaking',
  ],
  [
    'the values of a record',
    Type.Record(Type.String(), enumOf('x')),
    Type.Record(Type.String(), enumOf('x', 'y')),
    'additive',
    'breaking',
  ],
  [
    'the keys of a record',
    Type.Record(Type.String({ pattern: 'a' }), Type.Null()),
    Type.Record(Type.String({ pattern: 'b' }), Type.Null()),
    'breaking',
    'breaking',
  ],
  [
    'unknown keys now refused',
    base,
    Type.Object(base.properties, { additionalProperties: false }),
    'breaking',
    'breaking',
  ],
];

describe('compareSchemas', () => {
  it.each(CASES)('%s', (_what, before, after, platform, others) => {
    expect(verdictOf(compare(before, after, 'platform'))).toBe(platform);
    expect(verdictOf(compare(before, after, 'others'))).toBe(others);
  });

  it('names the place and the reason', () => {
    const before = Type.Object({ list: Type.Array(Type.Object({ 'a/b': Type.Integer({ maximum: 5 }) })) });
    const after = Type.Object({ list: Type.Array(Type.Object({ 'a/b': Type.Integer({ maximum: 6 }) })) });
    expect(compare(before, after, 'others')).toEqual([
      {
        path: '/properties/list/items/properties/a~1b/maximum',
        what: 'maximum 5 is now 6',
        verdict: 'breaking',
      },
    ]);
  });
});

describe('reviewWire', () => {
  const one: VersionEntry = { version: '1.0.0', date: '2026-01-01', schemas: [], change: 'first' };
  const two = (schemas: readonly string[]): VersionEntry => ({ ...one, version: '1.1.0', schemas });
  const wire = (name: string, schema: TSchema, reader: Reader = 'platform') => ({ name, reader, schema });
  const lock = lockOf([wire('A', base), wire('B', enumOf('x'), 'others')], '1.0.0');
  const additive = lockOf([wire('A', Type.Partial(base)), wire('B', enumOf('x'), 'others')], '1.1.0');
  const breaking = lockOf([wire('A', base), wire('B', enumOf('x', 'y'), 'others')], '1.1.0');

  it('is content when nothing changed', () => {
    expect(reviewWire(lock, lock, [one])).toEqual([]);
  });

  it('asks for a version decision when something did', () => {
    expect(reviewWire(lock, additive, [one])).toEqual([
      expect.stringContaining('Version decision needed: A changed since 1.0.0'),
    ]);
  });

  it('accepts an additive change that the history names, and only that', () => {
    expect(reviewWire(lock, additive, [one, two(['A'])])).toEqual([]);
    expect(reviewWire(lock, additive, [one, two([])])).toEqual([
      expect.stringContaining('must name exactly: A'),
    ]);
    expect(reviewWire(lock, additive, [one, two(['A', 'B'])])).toEqual([
      expect.stringContaining('must name exactly: A'),
    ]);
  });

  it('refuses a breaking change, unless a person accepted exactly that place', () => {
    expect(reviewWire(lock, breaking, [one, two(['B'])])).toEqual([
      expect.stringMatching(/^Breaking: B\/properties\/kind: new value "y"\. .*\/sync\/v2\//),
    ]);
    const accepted = [{ schema: 'B', path: '/properties/kind', reason: 'never sent before' }];
    expect(reviewWire(lock, breaking, [one, { ...two(['B']), accepted }])).toEqual([]);
  });

  it('counts a message that is gone or read by somebody else as breaking, a new one as additive', () => {
    const fewer = lockOf([wire('A', base)], '1.1.0');
    const turned = lockOf([wire('A', base), wire('B', enumOf('x'), 'platform')], '1.1.0');
    const more = lockOf([wire('A', base), wire('B', enumOf('x'), 'others'), wire('C', base)], '1.1.0');
    expect(reviewWire(lock, fewer, [one, two(['B'])])).toEqual([expect.stringContaining('message removed')]);
    expect(reviewWire(lock, turned, [one, two(['B'])])).toEqual([
      expect.stringContaining('read by somebody else'),
    ]);
    expect(reviewWire(lock, more, [one, two(['C'])])).toEqual([]);
  });

  it('lets the first version change freely until it is published', () => {
    expect(reviewWire(lock, breaking, [{ ...one, date: null }])).toEqual([]);
    expect(reviewWire(lock, breaking, [])).toEqual([]);
  });
});
