import { accept, defineEntity, type EntityData, type HandlerAnswer, reject } from '@sync/owner-sdk';
import type { PushedMutation } from '@sync/protocol';
import Type from 'typebox';
import { CourseIdField } from '../../owning-service/field-types.ts';
import { type OwnedEntity, faultsOf, invalid } from '../../owning-service/owned-entity.ts';
import { mergeUpdate, rewriteText, seedDocument } from './doc-snapshot.ts';
import { type DocumentData, documentStore } from './document-store.ts';

const PLAIN_FIELDS = { courseId: CourseIdField, title: Type.String({ minLength: 1, maxLength: 1_000 }) };

/** What devices may send: the plain fields. The text goes as updates, never as data. */
const checkPlain = faultsOf(Type.Object(PLAIN_FIELDS, { additionalProperties: false }));
const checkServerSide = faultsOf(Type.Object({ ...PLAIN_FIELDS, text: Type.Optional(Type.String()) }));

/** A course text that several people write at once, offline too. */
export const document: OwnedEntity = {
  definition: defineEntity({
    entityType: 'document',
    schemaVersion: 1,
    policy: 'crdt_yjs',
    projection: {
      kind: 'declarative',
      fields: ['courseId', 'title'],
      scopes: ['course:{courseId}'],
      docUpdateField: 'body',
    },
    ...documentStore,
    handle(mutation, current) {
      const document = current === null ? null : documentOf(current);
      // The gateway has checked that the user holds the mutation's scope; a document of another course is another scope.
      if (document && `course:${document.courseId}` !== mutation.scope) {
        return reject('forbidden', 'the document belongs to another course than the scope');
      }
      switch (mutation.op) {
        case 'merge':
          return merge(mutation, document);
        case 'delete':
          return accept(null);
        case 'put':
        case 'patch':
          return putFields(mutation, document);
        case 'append':
          return reject('op_not_allowed', 'a document takes merge, put, patch and delete');
      }
    },
  }),

  /** `{courseId, title, text?}`: the text is seeded when the document is new, and edited when it is there. */
  prepare(_entityId, data, current) {
    const faults = checkServerSide(data);
    if (faults.length > 0) return { ok: false, faults };
    const { text, ...plain } = data;
    const body = bodyAfter(current, typeof text === 'string' ? text : undefined);
    if (typeof body === 'object') return { ok: false, faults: [{ path: '/text', message: body.message }] };
    return { ok: true, data: { ...plain, body } };
  },
};

function merge({ update }: PushedMutation, document: DocumentData | null): HandlerAnswer {
  if (!document)
    return reject('document_unknown', 'there is no such document; put its courseId and title first');
  if (update === undefined) return reject('update_invalid', '/update is missing');
  const body = mergeUpdate(document.body, update);
  return typeof body === 'string' ? accept({ ...document, body }) : reject(body.code, body.message);
}

function putFields(mutation: PushedMutation, document: DocumentData | null): HandlerAnswer {
  const before = document && { courseId: document.courseId, title: document.title };
  const data = mutation.op === 'patch' ? { ...before, ...mutation.data } : (mutation.data ?? {});
  const faults = checkPlain(data);
  if (faults.length > 0) return invalid(faults);
  if (`course:${String(data['courseId'])}` !== mutation.scope) {
    return reject('forbidden', '/courseId names another course than the scope');
  }
  return accept({ ...data, body: document?.body ?? seedDocument('') });
}

function bodyAfter(current: EntityData | null, text: string | undefined): ReturnType<typeof rewriteText> {
  if (current === null) return seedDocument(text ?? '');
  const { body } = documentOf(current);
  return text === undefined ? body : rewriteText(body, text);
}

/** Handlers see what the store loaded, which has these three columns. */
function documentOf(data: EntityData): DocumentData {
  return { courseId: String(data['courseId']), title: String(data['title']), body: String(data['body']) };
}
