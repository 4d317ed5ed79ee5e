import { describe, expect, it } from '@jest/globals';
import type { JsonObject } from '../json.ts';
import {
  isScope,
  parseScopeTemplate,
  parseUserTemplate,
  readPath,
  renderScope,
  renderUser,
} from './scope-template.ts';

const IDS = { entityType: 'note', entityId: 'n1' };

function scopeOf(source: string, data: JsonObject): string | null {
  const parsed = parseScopeTemplate(source);
  if (!parsed.ok) throw new Error(parsed.reason);
  return renderScope(parsed.template, data, IDS);
}

function userOf(source: string, data: JsonObject): string | null {
  const parsed = parseUserTemplate(source);
  if (!parsed.ok) throw new Error(parsed.reason);
  return renderUser(parsed.template, data, IDS);
}

describe('isScope', () => {
  it.each(['user:u1', 'a:~', `a${'-'.repeat(31)}:${'x'.repeat(128)}`, 'course_1:A.b_c-d~e'])(
    'accepts %s',
    (scope) => {
      expect(isScope(scope)).toBe(true);
    },
  );

  it.each([
    '',
    'user',
    'user:',
    ':u1',
    'User:u1',
    '1a:u',
    'a:u:1',
    'a:u 1',
    ' a:u',
    'a:u\n',
    `a${'-'.repeat(32)}:x`,
    `a:${'x'.repeat(129)}`,
  ])('refuses %j', (scope) => {
    expect(isScope(scope)).toBe(false);
  });
});

describe('parseScopeTemplate', () => {
  it('parses texts and field paths', () => {
    expect(parseScopeTemplate('course:{courseId}')).toEqual({
      ok: true,
      template: { texts: ['course:', ''], fields: [['courseId']] },
    });
    expect(parseScopeTemplate('a-b_1:x{a.b_2.C}-{d}.y')).toEqual({
      ok: true,
      template: { texts: ['a-b_1:x', '-', '.y'], fields: [['a', 'b_2', 'C'], ['d']] },
    });
    expect(parseScopeTemplate('tenant:all')).toMatchObject({ ok: true, template: { texts: ['tenant:all'] } });
  });

  it.each(['', '{kind}:x', 'Course:{c}', ':{c}', 'course{c}', `${'a'.repeat(33)}:x`, 'x{a}:b'])(
    'wants a literal kind, not %j',
    (source) => {
      expect(parseScopeTemplate(source)).toEqual({
        ok: false,
        reason: 'must start with a kind and a colon, like course:{courseId}',
      });
    },
  );

  it.each(['a:{}', 'a:{1x}', 'a:{a.}', 'a:{.a}', 'a:{a b}', 'a:{a-b}', 'a:{a.b.c.d.e.f.g.h.i}'])(
    'says which placeholder of %s is no path',
    (source) => {
      const placeholder = source.slice(2);
      expect(parseScopeTemplate(source)).toEqual({
        ok: false,
        reason: `${placeholder} is not the path of a field`,
      });
    },
  );

  it.each(['a:{b', 'a:b}', 'a:{{b}}', 'a:{b}}', 'a:}{'])('refuses the unpaired brace of %s', (source) => {
    expect(parseScopeTemplate(source)).toEqual({ ok: false, reason: 'has an unpaired brace' });
  });

  it('is bounded', () => {
    const long = (length: number): string => `a:${'x'.repeat(length - 2)}`;
    expect(parseScopeTemplate(long(200))).toMatchObject({ ok: true });
    expect(parseScopeTemplate(long(201))).toEqual({ ok: false, reason: 'must have 1 to 200 characters' });
    expect(parseUserTemplate('')).toEqual({ ok: false, reason: 'must have 1 to 200 characters' });
    expect(parseUserTemplate('x')).toMatchObject({ ok: true });
    expect(parseScopeTemplate('a:{a.b.c.d.e.f.g.h}')).toMatchObject({ ok: true });
  });
});

describe('renderScope', () => {
  it('fills in fields, nested fields and the entity’s own ids', () => {
    expect(scopeOf('course:{courseId}', { courseId: 'c1' })).toBe('course:c1');
    expect(scopeOf('user:{actor.account.name}', { actor: { account: { name: 'u1' } } })).toBe('user:u1');
    expect(scopeOf('x:{entityType}.{entityId}', {})).toBe('x:note.n1');
    expect(scopeOf('x:a{b}c{d}e', { b: '1', d: '2' })).toBe('x:a1c2e');
    expect(scopeOf('tenant:all', {})).toBe('tenant:all');
  });

  it('lets no data field stand in for the ids', () => {
    expect(scopeOf('x:{entityId}', { entityId: 'forged' })).toBe('x:n1');
    expect(scopeOf('x:{entityType}', { entityType: 'forged' })).toBe('x:note');
    expect(scopeOf('x:{entityId.a}', { entityId: { a: 'nested' } })).toBe('x:nested');
    expect(scopeOf('x:{entityType.a}', { entityType: { a: 'nested' } })).toBe('x:nested');
  });

  it.each<[JsonObject]>([
    [{}],
    [{ c: null }],
    [{ c: 1 }],
    [{ c: ['x'] }],
    [{ c: { x: 'y' } }],
    [{ c: '' }],
    [{ c: 'a:b' }],
    [{ c: 'a/b' }],
    [{ c: 'x'.repeat(129) }],
  ])('is null for %j', (data) => {
    expect(scopeOf('course:{c}', data)).toBeNull();
  });

  it('reads own fields only', () => {
    expect(scopeOf('x:{constructor.name}', {})).toBeNull();
    expect(scopeOf('x:{a.length}', { a: 'text' })).toBeNull();
    expect(scopeOf('x:{a.name}', { a: ['x'] })).toBeNull();
  });
});

describe('renderUser', () => {
  it('fills in a user id', () => {
    expect(userOf('{userId}', { userId: 'u1' })).toBe('u1');
    expect(userOf('{userId}', { userId: 'x'.repeat(128) })).toBe('x'.repeat(128));
  });

  it.each(['', 'a b', 'a:b', '*', 'x'.repeat(129), ' u', 'u\n'])('is null for %j', (userId) => {
    expect(userOf('{userId}', { userId })).toBeNull();
  });

  it('is null without one', () => {
    expect(userOf('{userId}', { userId: 7 })).toBeNull();
  });
});

describe('readPath', () => {
  it('follows a path, the empty one to the data itself', () => {
    expect(readPath({ a: { b: [1] } }, ['a', 'b'])).toEqual([1]);
    expect(readPath({ a: 1 }, [])).toEqual({ a: 1 });
    expect(readPath({ a: null }, ['a', 'b'])).toBeUndefined();
  });
});
