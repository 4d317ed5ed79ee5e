/**
 * Who wrote each field last, as projector, gateway and owning services tell each other. Internal: devices never see
 * it.
 */
import Type from 'typebox';
import { Count } from './scalars.ts';

const write = {
  atMs: Type.Number({ description: 'Server time, epoch milliseconds.' }),
  by: Type.String({ description: 'Replica id.' }),
  counter: Count,
  folds: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'The entry `s:folded` of the entity’s clock with this write in it.',
    }),
  ),
};

/** The types are `FieldWrites` of `libs/domain`; field-writes.test.ts keeps both equal. */
export const FieldWrites = Type.Record(
  Type.String(),
  Type.Object({
    ...write,
    removedBy: Type.Optional(Type.Object(write)),
    deletion: Type.Optional(
      Type.Union([Type.Object(write), Type.Null()], {
        description: 'Of the entity: the last deletion before its present life.',
      }),
    ),
  }),
  { description: 'Top-level field → its last write; the key `` (empty) is the entity itself.' },
);
