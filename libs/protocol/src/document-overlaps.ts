import Type, { type Static } from 'typebox';

const excerptOf = (whose: string) =>
  Type.Union([Type.String({ maxLength: 1000 }), Type.Null()], {
    description: `An excerpt of the block ${whose}; null: it was not there.`,
  });
const OverlapGrade = Type.Enum(['minor', 'severe'], {
  description: '`severe`: a person should look at it (POLICY-9).',
});

/** What a merge of concurrent edits of a document came to, as its owner sees it. */
export const DocumentOverlaps = Type.Object(
  {
    grade: Type.Enum(['none', 'minor', 'severe'], { description: 'The highest of all overlaps.' }),
    compared: Type.Boolean({ description: 'False: what was merged could not be compared; then `severe`.' }),
    overlaps: Type.Array(
      Type.Object({
        block: Type.Object(
          {
            path: Type.String({ maxLength: 1000, description: 'Shared types from the root down.' }),
            line: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
              description: 'Of a text, counted from 1 in the base.',
            }),
            key: Type.Union([Type.String({ maxLength: 1000 }), Type.Null()], { description: 'Of a map.' }),
          },
          { description: 'What both sides changed.' },
        ),
        kind: Type.Enum(['same_number', 'edit_deleted', 'same_key', 'same_token', 'same_block'], {
          description: 'What both sides did.',
        }),
        grade: OverlapGrade,
        base: excerptOf('that both sides started from'),
        ours: excerptOf('as the server had it'),
        theirs: excerptOf('as the device sent it'),
        merged: excerptOf('after the merge'),
      }),
      { maxItems: 100, description: 'At most 100.' },
    ),
    omitted: Type.Integer({ minimum: 0, description: 'How many more there are.' }),
  },
  {
    $id: 'DocumentOverlaps',
    description: 'Of a `merge`: edits of a document that its device had not seen, and this one.',
  },
);
export type DocumentOverlaps = Static<typeof DocumentOverlaps>;
