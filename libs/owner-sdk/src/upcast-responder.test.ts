import { randomUUID } from 'node:crypto';
import { RemoteError } from '@sync/messaging';
import type { UpcastRequest } from '@sync/protocol';
import { accept, defineEntity, jsonEntityStore, mutatedData, reject } from './index.ts';
import { registrationOf } from './service-registration.ts';
import { respondToUpcast } from './upcast-responder.ts';

const note = defineEntity({
  entityType: 'note',
  schemaVersion: 3,
  policy: 'lww',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
  ...jsonEntityStore('note'),
  upcasters: [
    { from: 1, steps: [{ kind: 'rename', field: 'color', to: 'colour' }] },
    {
      from: 2,
      upcast(data, { op }) {
        if (data['text'] === 'throw') throw new Error('broken');
        if (data['text'] === 'none') return accept(null);
        if (data['text'] === 'no') return reject('too_old', '/text cannot be lifted');
        return accept({ ...data, words: (data['text'] as string).split(' '), op });
      },
    },
  ],
  handle: (mutation, current) => accept(mutatedData(mutation, current)),
});

const logged: string[] = [];
const log = (_fields: object, message: string): void => void logged.push(message);
const logger = { debug: log, info: log, warn: log, error: log };

function question(texts: readonly string[], changes: Partial<UpcastRequest> = {}): UpcastRequest {
  const mutations = texts.map((text) => ({ mutationId: randomUUID(), op: 'put' as const, data: { text } }));
  return { tenantId: 't1', entityType: 'note', from: 2, mutations, ...changes };
}

describe('an upcast function', () => {
  it('lifts each mutation or rejects it; one for which it throws, or of which it leaves nothing, is left out', () => {
    const asked = question(['a b', 'throw', 'no', 'none', 'c']);
    const [first, , refused, , last] = asked.mutations;
    expect(respondToUpcast(note, asked, logger)).toEqual({
      results: [
        { mutationId: first?.mutationId, data: { text: 'a b', words: ['a', 'b'], op: 'put' } },
        { mutationId: refused?.mutationId, code: 'too_old', message: '/text cannot be lifted' },
        { mutationId: last?.mutationId, data: { text: 'c', words: ['c'], op: 'put' } },
      ],
    });
    expect(logged).toEqual(['not lifted: the upcaster threw', 'not lifted: the upcaster threw']);
  });

  it.each([
    ['a version that is lifted by steps', question(['a'], { from: 1 })],
    ['a version without an upcaster', question(['a'], { from: 3 })],
    ['another entity type', question(['a'], { entityType: 'statement' })],
    ['nothing', question([])],
    ['what is no request', { from: 2 }],
  ])('is not asked for %s', (_what, request) => {
    expect(() => respondToUpcast(note, request, logger)).toThrow(RemoteError);
  });

  it('is registered as the subject of its entity type, beside the steps of other versions', () => {
    const [registered] = registrationOf('notes', [note]).entityTypes;
    expect(registered?.upcasters).toEqual([
      { from: 1, steps: [{ kind: 'rename', field: 'color', to: 'colour' }] },
      { from: 2, subject: 'sync.upcast.v1.notes.note' },
    ]);
  });
});
