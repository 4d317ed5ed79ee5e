import { describe, expect, it } from '@jest/globals';
import { domainEvent } from '../testing/domain-events.ts';
import { readEvents } from './read-events.ts';

const event = domainEvent({ id: 'p1', revision: 1, data: { userId: 'u1' } });
const codesOf = (payload: string, headers?: Record<string, string>): string[] =>
  readEvents(payload, headers).map((read) => (read.kind === 'faulty' ? read.code : read.event.entityid));

describe('a message', () => {
  it.each([
    ['an array of events', JSON.stringify([event, { ...event, entityid: 'p2' }]), ['p1', 'p2']],
    ['one event', JSON.stringify(event), ['p1']],
    ['an empty array', '[]', []],
    ['no JSON', '{"specversion":', ['malformed_json']],
    ['JSON that is no event', '[null, 7, "x", {}]', Array(4).fill('event_invalid')],
    [
      'a good event among bad ones',
      JSON.stringify([{}, event, { ...event, time: 'now' }]),
      ['event_invalid', 'p1', 'event_invalid'],
    ],
  ])('may be %s', (_what, payload, expected) => {
    expect(codesOf(payload)).toEqual(expected);
  });

  it('may be a CloudEvent in binary mode', () => {
    const { data, ...attributes } = event;
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`Ce-${name}`, String(value)]),
    );
    expect(codesOf(JSON.stringify(data), headers)).toEqual(['p1']);
    expect(codesOf('', { ...headers, 'ce-entityop': 'delete' })).toEqual(['p1']);
    expect(codesOf('{', headers)).toEqual(['malformed_json']);
    expect(codesOf('{}', { ...headers, 'Ce-revision': 'many' })).toEqual(['event_invalid']);
  });
});

describe('a faulty event', () => {
  it('is identified as far as it can be read', () => {
    const [read] = readEvents(JSON.stringify([{ ...event, source: undefined }]));
    expect(read).toMatchObject({
      kind: 'faulty',
      code: 'event_invalid',
      tenantId: 't1',
      eventId: 'progress-p1-1',
      entityType: 'progress',
      entityId: 'p1',
      revision: 1,
    });
  });

  it.each([
    ['tenantid', 'a,b', 'tenantId'],
    ['tenantid', 7, 'tenantId'],
    ['entityid', 'x'.repeat(300), 'entityId'],
    ['entitytype', '\u0000', 'entityType'],
    ['revision', -1, 'revision'],
    ['revision', 2 ** 53, 'revision'],
  ])('does not pass on %s = %j', (attribute, value, name) => {
    expect(readEvents(JSON.stringify({ ...event, [attribute]: value }))).toMatchObject([
      { kind: 'faulty', [name]: null },
    ]);
  });

  it.each([
    ['a NUL character', { a: '\u0000' }],
    ['half a surrogate pair', { a: '\ud800' }],
    ['an integer that was rounded', JSON.parse('{"a":9007199254740993}') as object],
  ])('is one with %s in its data', (_what, data) => {
    expect(codesOf(JSON.stringify([{ ...event, data }, event]))).toEqual(['event_unstorable', 'p1']);
  });

  it('is one with a key that assigning would turn into a prototype', () => {
    const payload = JSON.stringify(event).replace('"userId"', '"__proto__"');
    expect(codesOf(payload)).toEqual(['event_unstorable']);
  });

  it('keeps its text storable', () => {
    const [read] = readEvents(JSON.stringify([{ ...event, data: { a: '\u0000\ud800' } }]));
    const text = read?.kind === 'faulty' ? read.text : '';
    expect(text).toContain('\\u0000\\ud800');
    expect(JSON.parse(text)).toMatchObject({ entityid: 'p1' });
  });
});

describe('depth', () => {
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const payload = (...depths: number[]): string =>
    `[${depths.map((depth) => JSON.stringify({ ...event, data: null }).replace('"data":null', `"data":${nested(depth)}`)).join()}]`;

  it('beyond the bound costs only the events that have it', () => {
    expect(codesOf(payload(10, 80, 62))).toEqual(['p1', 'limit_exceeded', 'p1']);
  });

  it('beyond a stack costs only the event that has it, however its keys are written', () => {
    const deep = payload(100_000, 1).replaceAll('{"a":', '{"\\n":');
    expect(codesOf(deep)).toEqual(['limit_exceeded', 'p1']);
  });

  it('that cannot even be written is noted', () => {
    expect(readEvents(payload(100_000, 1))).toMatchObject([
      { code: 'limit_exceeded', tenantId: 't1', entityId: 'p1' },
      { kind: 'readable' },
    ]);
  });
});

describe('clocks', () => {
  it('are read from their canonical text', () => {
    const [read] = readEvents(
      JSON.stringify({ ...event, entityclock: '{"d:dev":2,"s:learning":0}', mutationclock: '{}' }),
    );
    expect(read).toMatchObject({ clock: { 'd:dev': 2 }, mutationClock: {} });
  });

  it.each([
    '',
    'null',
    '[]',
    '{"d:":1}',
    '{"q:x":1}',
    '{"d:x":-1}',
    '{"d:x":1.5}',
    '{"d:a b":1}',
    '{"s:A":1}',
    '{"d:x":{}}',
  ])('are refused when they are %s', (text) => {
    expect(codesOf(JSON.stringify({ ...event, entityclock: text }))).toEqual(['clock_invalid']);
  });
});

describe('who wrote a field without changing it', () => {
  const write = { atMs: 5, by: 'd:dev', counter: 2 };

  it('is read from its text, whatever the field is called', () => {
    const mutationwrites = JSON.stringify({ '': write, constructor: { ...write, removedBy: write } });
    expect(readEvents(JSON.stringify({ ...event, mutationwrites }))).toMatchObject([
      { decidedWrites: { '': write, constructor: { ...write, removedBy: write } } },
    ]);
    expect(readEvents(JSON.stringify(event))).toMatchObject([{ decidedWrites: null }]);
  });

  it.each([
    '',
    'null',
    '{"f":1}',
    '{"f":{"atMs":1}}',
    '{"f":{"atMs":1,"by":"d:x","counter":-1}}',
    '{"\\u0000":{"atMs":1,"by":"d:x","counter":1}}',
    '{"__proto__":{"atMs":1,"by":"d:x","counter":1}}',
    '{"f":{"atMs":1e999,"by":"d:x","counter":1}}',
  ])('is refused when it is %s', (mutationwrites) => {
    expect(codesOf(JSON.stringify({ ...event, mutationwrites }))).toEqual(['event_invalid']);
  });
});
