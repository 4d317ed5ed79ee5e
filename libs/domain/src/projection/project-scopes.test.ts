import { describe, expect, it } from '@jest/globals';
import type { JsonObject } from '../json.ts';
import { ENROLLMENT, RULE, U1, changed, eventOf, headAfter, service } from '../testing/domain-changes.ts';
import { projectEvent } from './project-event.ts';
import type { EntityHead } from './projection.ts';

describe('scopes', () => {
  const rule = { ...RULE, scopes: ['user:{userId}', 'course:{courseId}', 'user:{userId}'] };
  const present = (): EntityHead => headAfter(rule, { userId: 'u1', courseId: 'c1' });

  it('are sorted and unique', () => {
    expect(present().scopes).toEqual(['course:c1', 'user:u1']);
  });

  it('that the entity leaves get a delete, those it enters a put, in sorted order', () => {
    const result = changed(projectEvent(present(), eventOf(2, { userId: 'u1', courseId: 'b' }), rule));
    const data = { userId: 'u1', courseId: 'b' };
    expect(result.deltas).toEqual([
      { scope: 'course:b', op: 'put', data, update: null },
      { scope: 'course:c1', op: 'delete', data: null, update: null },
      { scope: 'user:u1', op: 'put', data, update: null },
    ]);
    expect(result.entered).toEqual(['course:b']);
    expect(result.head.scopes).toEqual(['course:b', 'user:u1']);
  });

  it('are all left on deletion, and entered again on return', () => {
    const deletion = changed(projectEvent(present(), eventOf(2, null), rule));
    expect(deletion.deltas).toEqual([
      { scope: 'course:c1', op: 'delete', data: null, update: null },
      { scope: 'user:u1', op: 'delete', data: null, update: null },
    ]);
    expect(deletion.head).toMatchObject({
      data: null,
      deleted: true,
      deletedData: { userId: 'u1', courseId: 'c1' },
      scopes: [],
    });
    const again = changed(projectEvent(deletion.head, eventOf(3, { userId: 'u1', courseId: 'c1' }), rule));
    expect(again.entered).toEqual(['course:c1', 'user:u1']);
    expect(again.head).toMatchObject({ deleted: false, deletedData: null });
    expect(again.head.fieldWrites).toEqual({
      '': { ...service(30, 3), deletion: service(20, 2) },
      userId: service(30, 3),
      courseId: service(30, 3),
    });
  });

  it('of a twice deleted entity stay empty, and what was deleted stays known', () => {
    const gone = headAfter(RULE, U1, null, null);
    expect(gone).toMatchObject({ revision: 3, deleted: true, deletedData: U1, scopes: [] });
    expect(gone.fieldWrites['']).toEqual({ ...service(30, 3), removedBy: service(20, 2) });
  });
});

describe('grants', () => {
  const enrolled = (status: string, courseId = 'c1'): JsonObject => ({ userId: 'u1', courseId, status });
  const grant = (courseId: string): object => ({ scope: `course:${courseId}`, userId: 'u1' });

  it('follow the data', () => {
    const first = changed(projectEvent(null, eventOf(1, enrolled('active')), ENROLLMENT));
    expect(first).toMatchObject({ granted: [grant('c1')], revoked: [], head: { grants: [grant('c1')] } });
    const same = changed(projectEvent(first.head, eventOf(2, enrolled('completed')), ENROLLMENT));
    expect(same).toMatchObject({ granted: [], revoked: [] });
    const moved = changed(projectEvent(same.head, eventOf(3, enrolled('active', 'c2')), ENROLLMENT));
    expect(moved).toMatchObject({ granted: [grant('c2')], revoked: [grant('c1')] });
    const withdrawn = changed(projectEvent(moved.head, eventOf(4, enrolled('withdrawn', 'c2')), ENROLLMENT));
    expect(withdrawn).toMatchObject({ granted: [], revoked: [grant('c2')], head: { grants: [] } });
  });

  it('are all revoked by deletion', () => {
    const head = headAfter(ENROLLMENT, enrolled('active'));
    expect(changed(projectEvent(head, eventOf(2, null), ENROLLMENT))).toMatchObject({
      granted: [],
      revoked: [grant('c1')],
    });
  });

  it('compare values deeply, at any path, and need no condition', () => {
    const rule = {
      ...RULE,
      grants: [
        { scope: 'b:x', user: '{userId}', when: { field: 'a.b', in: [1, { deep: [true] }] } },
        { scope: 'a:always', user: '{userId}' },
        { scope: 'a:always', user: '{userId}' },
        { scope: 'c:never', user: '{userId}', when: { field: 'a.missing', in: [null] } },
        { scope: 'c:never', user: '{userId}', when: { field: 'a.missing', in: [] } },
      ],
    };
    const { head } = changed(projectEvent(null, eventOf(1, { ...U1, a: { b: { deep: [true] } } }), rule));
    expect(head.grants).toEqual([
      { scope: 'a:always', userId: 'u1' },
      { scope: 'b:x', userId: 'u1' },
    ]);
  });

  it('are not rendered while their condition does not hold', () => {
    expect(projectEvent(null, eventOf(1, { userId: 'u1', status: 'withdrawn' }), ENROLLMENT).kind).toBe(
      'changed',
    );
  });
});
