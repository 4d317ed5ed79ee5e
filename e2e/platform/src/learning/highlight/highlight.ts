import {
  accept,
  defineEntity,
  type EntityData,
  type HandlerAnswer,
  jsonEntityStore,
  mutatedData,
  reject,
} from '@sync/owner-sdk';
import Type from 'typebox';
import { CourseIdField, UserIdField } from '../../owning-service/field-types.ts';
import {
  type OwnedEntity,
  faultsOf,
  invalid,
  optionalFieldsOf,
  prepareBySchema,
  refuseForeign,
} from '../../owning-service/owned-entity.ts';

const Highlight = Type.Object({
  userId: UserIdField,
  courseId: CourseIdField,
  quote: Type.String({ maxLength: 2_000 }),
  firstPage: Type.Integer({ minimum: 1 }),
  lastPage: Type.Integer({ minimum: 1 }),
  colour: Type.Optional(Type.String({ maxLength: 64 })),
});
const check = faultsOf(Highlight);
const optional = optionalFieldsOf(Highlight);

const RANGE = /^(\d{1,6})(?:-(\d{1,6}))?$/;

/** Version 2 wrote `pages: "3-5"`; a patch that does not name them stays as it is. */
function splitPages({ pages, ...others }: EntityData & { readonly pages?: unknown }): HandlerAnswer {
  if (pages === undefined) return accept(others);
  const [, first, last] = (typeof pages === 'string' && RANGE.exec(pages)) || [];
  if (first === undefined) return reject('data_invalid', '/pages must be a page or a range of pages');
  return accept({ ...others, firstPage: Number(first), lastPage: Number(last ?? first) });
}

/**
 * A passage that a learner marked. Its third version: old apps still write `color` (1) and `pages` (1 and 2).
 */
export const highlight: OwnedEntity = {
  definition: defineEntity({
    entityType: 'highlight',
    schemaVersion: 3,
    upcasters: [
      { from: 1, steps: [{ kind: 'rename', field: 'color', to: 'colour' }] },
      { from: 2, upcast: splitPages },
    ],
    policy: 'lww',
    // What somebody marked is nobody else's word: not even of whoever has the gateway's database.
    requiresTags: true,
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    ...jsonEntityStore('highlight'),
    handle(mutation, current, { userId }) {
      const data = mutatedData(mutation, current, optional);
      const foreign = refuseForeign(userId, current, data);
      if (foreign) return foreign;
      if (data === null) return accept(null);
      const faults = check(data);
      return faults.length > 0 ? invalid(faults) : accept(data);
    },
  }),
  prepare: prepareBySchema(check),
};
