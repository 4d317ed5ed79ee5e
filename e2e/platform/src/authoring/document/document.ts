import { accept, defineEntity, type EntityData, type HandlerAnswer, reject } from '@sync/owner-sdk';
import { KeptDocuments } from '@sync/owner-sdk/documents';
import type { OwnerLogger } from '@sync/owner-sdk';
import type { PushedMutation } from '@sync/protocol';
import Type from 'typebox';
import { CourseIdField } from '../../owning-service/field-types.ts';
import { type OwnedEntity, faultsOf, invalid } from '../../owning-service/owned-entity.ts';
import { rewriteText, seedDocument } from './document-text.ts';
import { type DocumentData, documentStore } from './document-store.ts';

const PLAIN_FIELDS = { courseId: CourseIdField, title: Type.String({ minLength: 1, maxLength: 1_000 }) };

/** What devices may send: the plain fields. The text goes as updates, never as data. */
const checkPlain = faultsOf(Type.Object(PLAIN_FIELDS, { additionalProperties: false }));
const checkServerSide = faultsOf(
  Type.Object({
    ...PLAIN_FIELDS,
    text: Type.Optional(Type.String()),
    replace: Type.Optional(Type.Boolean()),
  }),
);

/**
 * A course text that several people write at once, offline too. The SDK keeps the text; here are the fields
 * beside it, and the rules.
 */
export function documentEntity(logger: OwnerLogger): {
  readonly entity: OwnedEntity;
  readonly kept: KeptDocuments;
} {
  const kept = new KeptDocuments({ field: 'body', logger, admission: { nestedTypes: 0 } });
  const definition = kept.define(
    defineEntity({
      entityType: 'document',
      schemaVersion: 1,
      policy: 'crdt_yjs',
      review: 'collisions',
      projection: {
        kind: 'declarative',
        fields: ['courseId', 'title', 'epoch'],
        scopes: ['course:{courseId}'],
        docUpdateField: 'body',
      },
      ...documentStore,
      handle,
    }),
  );
  return { entity: { definition, prepare }, kept };
}

function handle(mutation: PushedMutation, current: EntityData | null): HandlerAnswer {
  const document = current === null ? null : documentOf(current);
  // The gateway has checked that the user holds the mutation's scope; a document of another course is another
  // scope.
  if (document && `course:${document.courseId}` !== mutation.scope) {
    return reject('forbidden', 'the document belongs to another course than the scope');
  }
  switch (mutation.op) {
    case 'merge':
      if (document) return accept({ ...document });
      return reject('document_unknown', 'there is no such document; put its courseId and title first');
    case 'delete':
      return accept(null);
    case 'put':
    case 'patch':
      return putFields(mutation, document);
    case 'append':
      return reject('op_not_allowed', 'a document takes merge, put, patch and delete');
  }
}

function putFields(mutation: PushedMutation, document: DocumentData | null): HandlerAnswer {
  const data = mutation.op === 'patch' ? { ...document, ...mutation.data } : (mutation.data ?? {});
  const faults = checkPlain(data);
  if (faults.length > 0) return invalid(faults);
  if (`course:${String(data['courseId'])}` !== mutation.scope) {
    return reject('forbidden', '/courseId names another course than the scope');
  }
  return accept(data);
}

/**
 * `{courseId, title, text?, replace?}`: the text is seeded when the document is new, and edited when it is
 * there; `replace` begins a new document instead, into which nothing that was written to the old one is
 * merged any more.
 */
const prepare: OwnedEntity['prepare'] = (_entityId, data, current) => {
  const faults = checkServerSide(data);
  if (faults.length > 0) return { ok: false, faults };
  const { text, replace, ...plain } = data;
  const words = typeof text === 'string' ? text : '';
  if (current === null) return { ok: true, data: { ...plain, body: seedDocument(words) } };
  const epoch = Number(current['epoch']);
  if (replace === true) return { ok: true, data: { ...plain, body: seedDocument(words), epoch: epoch + 1 } };
  const body = text === undefined ? '' : rewriteText(String(current['body']), words);
  return { ok: true, data: { ...plain, body } };
};

/** Handlers see what the store loaded, which has these two columns. */
function documentOf(data: EntityData): DocumentData {
  return { courseId: String(data['courseId']), title: String(data['title']) };
}
