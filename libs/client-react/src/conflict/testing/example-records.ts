/** ConflictRecords as the server tells them: one of each kind that a person may meet. */
import { type ConflictDraft, EXISTENCE_FIELD, recordOverlaps, recordRefused } from '@sync/domain';
import type { ConflictRecord, Suggestion } from '@sync/protocol';

const HASH = '0'.repeat(64);
const AT = '2026-03-04T14:02:00.000Z';

const OPEN: ConflictRecord = {
  conflictId: '00000000-0000-4000-8000-000000000001',
  status: 'open',
  policy: 'lww',
  userId: 'u',
  deviceId: 'phone',
  mutationId: '00000000-0000-4000-8000-0000000000aa',
  scope: 'team:t',
  entityType: 'note',
  entityId: 'n1',
  op: 'patch',
  base: {},
  baseUnknown: [],
  ours: {},
  theirs: {},
  theirsUpdate: null,
  clocks: { ours: { 's:owner': 2 }, theirs: { 'd:phone': 1, 's:owner': 1 } },
  fields: [],
  blocks: [],
  decision: null,
  decider: null,
  detectedAt: AT,
  resolvedAt: null,
  history: [],
  suggestions: [],
};

const LETTER = [
  'Dear parents,',
  'we leave for the mountains on Monday at 8:00 from the north gate. Please bring a rain coat, strong ' +
    'shoes and lunch for the first day. The bus will not wait, so be there a quarter of an hour early.',
  'The children sleep in rooms of four. Whoever needs a quiet room tells us before Friday. Medicine has ' +
    'to be given to Ms Adler, with a note that says when it is taken.',
  'We come back on Thursday in the evening.',
  'Yours, the teachers of 4b',
].join('\n\n');

/** What a conflict of several fields looks like: only the title is contested, and the text by both. */
export const FIELDS = conflict({
  ours: {
    title: 'Trip to the mountains',
    text: LETTER.replace('8:00', '7:30').replace('Thursday in the evening', 'Thursday at 18:00'),
    places: 24,
    isOpen: true,
    tags: ['trip', '4b'],
  },
  theirs: {
    title: 'Class trip, 4b',
    text: LETTER.replace('a rain coat, strong shoes', 'a rain coat, a water bottle, strong shoes'),
    places: 26,
  },
  base: { isOpen: true, tags: ['trip', '4b'], places: 24, text: LETTER },
  baseUnknown: ['title'],
});

/** As the server tells most collisions: the earlier values are not known. */
export const BASE_UNKNOWN = conflict({
  ours: { title: 'Trip to the mountains', text: 'We leave on Monday at 7:30.' },
  theirs: { title: 'Class trip, 4b', text: 'We leave on Monday at 8:00, from the north gate.' },
  base: {},
  baseUnknown: ['title', 'text'],
});

export const NESTED = conflict({
  policy: 'server_authoritative',
  entityType: 'timetable',
  op: 'put',
  ours: { slots: [{ day: 'Mon', at: '8:00' }], room: 'A 12', note: null, isFixed: false },
  theirs: {
    slots: [
      { day: 'Mon', at: '9:30' },
      { day: 'Wed', at: '8:00' },
    ],
    room: 'B 3',
    isFixed: true,
  },
  base: { slots: [{ day: 'Mon', at: '8:00' }], isFixed: false, note: null },
  baseUnknown: ['room'],
});

export const SERVER_DELETED = conflict({
  ours: null,
  theirs: { title: 'Class trip, 4b', places: 26 },
  base: { title: 'Trip', places: 24, isOpen: true },
});

export const DEVICE_DELETED = conflict({
  op: 'delete',
  ours: { title: 'Trip to the mountains', places: 24 },
  theirs: null,
  base: { places: 24 },
  baseUnknown: ['title'],
});

export const APPEND_ONLY = conflict({
  policy: 'append_only',
  status: 'auto_resolved',
  entityType: 'measurement',
  op: 'append',
  ours: { value: 21.5, unit: 'C' },
  theirs: { value: 22.1, unit: 'C' },
  base: null,
  fields: [{ field: 'value', ours: 21.5, theirs: 22.1, winner: 'ours' }],
  decision: { kind: 'policy' },
  decider: { kind: 'policy', policy: 'append_only' },
  resolvedAt: AT,
});

export const AUTO_RESOLVED = conflict({
  status: 'auto_resolved',
  ours: { title: 'Trip to the mountains', places: 24 },
  theirs: { title: 'Class trip, 4b' },
  base: { places: 24 },
  baseUnknown: ['title'],
  fields: [{ field: 'title', ours: 'Trip to the mountains', theirs: 'Class trip, 4b', winner: 'ours' }],
  decision: { kind: 'policy' },
  decider: { kind: 'policy', policy: 'lww' },
  resolvedAt: AT,
});

export const RESOLVED = conflict({
  ...FIELDS,
  status: 'resolved',
  decision: { kind: 'merged', op: 'put', data: { ...FIELDS.ours, title: 'Class trip to the mountains' } },
  decider: { kind: 'person', userId: 'u', deviceId: 'tablet' },
  resolvedAt: '2026-03-04T15:20:00.000Z',
});

export const SUGGESTION: Suggestion = {
  suggestionId: 's-1',
  status: 'ready',
  clock: OPEN.clocks.ours,
  clockHash: HASH,
  changes: { set: { title: 'Class trip of 4b to the mountains', places: 26 }, remove: [] },
  redactedFields: ['text'],
  confidence: 0.8,
  rationale: 'Both titles name the same trip. The device has the later count of places.',
  requestedBy: 'u',
  requestedAt: AT,
  finishedAt: AT,
  parameters: {},
  provenance: {
    model: 'example-large',
    modelVersion: '2026-01',
    ...{ promptHash: HASH, baseHash: HASH, oursHash: HASH, theirsHash: HASH },
  },
};

export const SUGGESTED = conflict({ ...FIELDS, suggestions: [SUGGESTION] });

const UPDATE = {
  mutationId: OPEN.mutationId,
  deviceId: 'phone',
  entityType: 'lesson',
  entityId: 'n1',
  op: 'merge',
  data: null,
  update: 'AAA=',
  baseClock: { 's:owner': 1 },
  clock: OPEN.clocks.theirs,
  occurredAtMs: Date.parse(AT),
  schemaVersion: 1,
} as const;
const MERGE = { mutation: UPDATE, policy: 'crdt_yjs', review: 'collisions' } as const;

/** Two people have changed the same line of a document; the merge has both. */
export const DOCUMENT = ofDocument(
  recordOverlaps(
    MERGE,
    {
      grade: 'severe',
      overlaps: [
        {
          ...{ kind: 'same_number', grade: 'severe', block: { path: 'body', line: 3, key: null } },
          base: 'Give 5 ml of the syrup twice a day, after meals.',
          ours: 'Give 10 ml of the syrup twice a day, after meals.',
          theirs: 'Give 2 ml of the syrup twice a day, after meals.',
          merged: 'Give 102 ml of the syrup twice a day, after meals.',
        },
      ],
    },
    OPEN.clocks.ours,
  ),
);

/** A merge that its owner could not compare: nobody knows what it met. */
export const DOCUMENT_NOT_COMPARED = ofDocument(
  recordOverlaps(MERGE, { grade: 'severe', overlaps: [] }, OPEN.clocks.ours),
);

/** An update that the document did not take. */
export const DOCUMENT_REFUSED = ofDocument({
  ...recordRefused(MERGE, null),
  // As the gateway leaves it open for a person, once its owner has failed too often.
  fields: [{ field: EXISTENCE_FIELD, winner: 'open' }],
});

/** The user has lost the scope: nothing of the server is told. */
export const HIDDEN = conflict({
  ours: null,
  theirs: { title: 'Class trip, 4b' },
  base: null,
  baseUnknown: [''],
  omitted: ['base', 'ours', 'fields'],
});

const DECIDED = {
  status: 'resolved',
  decision: { kind: 'keep_server' },
  decider: { kind: 'person', userId: 'u', deviceId: 'tablet' },
  resolvedAt: '2026-03-04T15:20:00.000Z',
} as const;

export const DOCUMENT_DECIDED = conflict({ ...DOCUMENT, ...DECIDED });
/** One with which something is wrong, so that nobody can decide it. */
export const DOCUMENT_REFUSED_BY_RULE = conflict({
  ...ofDocument(recordRefused(MERGE, null)),
  status: 'auto_resolved',
  decision: { kind: 'policy' },
  decider: { kind: 'policy', policy: 'crdt_yjs' },
  resolvedAt: AT,
});
export const DOCUMENT_REFUSED_DECIDED = conflict({ ...DOCUMENT_REFUSED, ...DECIDED });
export const HIDDEN_DECIDED = conflict({ ...HIDDEN, ...DECIDED });

/** What the resolver makes of a draft. */
function ofDocument(draft: ConflictDraft | null): ConflictRecord {
  if (draft === null) throw new Error('nothing was met');
  const { policy, entityType, base, baseUnknown = [], ours, theirs, theirsUpdate, blocks = [] } = draft;
  const fields = draft.fields.map((each) => {
    const before = base?.[each.field];
    return { ...each, ...(before === undefined ? {} : { base: before }) };
  });
  return conflict({
    ...{ policy, entityType, op: 'merge', base, ours, theirs, theirsUpdate, fields },
    ...{ baseUnknown: [...baseUnknown], blocks: [...blocks] },
  });
}

function conflict(fields: Partial<ConflictRecord>): ConflictRecord {
  return { ...OPEN, ...fields };
}
