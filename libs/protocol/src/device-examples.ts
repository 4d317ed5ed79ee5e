/** Examples of requests and answers of `/sync/v1/`, for the OpenAPI document: one story, from one phone. */
import type { Json, JsonObject } from './schema-components.ts';

/** What an operation is sent and answers. */
export interface OperationExamples {
  readonly request?: Json;
  readonly response?: Json;
}

const serverTime = '2026-03-01T09:30:02.120Z';
const scope = 'user:u1';
const cursor = 'c1.eyJzIjoidXNlcjp1MSIsInAiOiIxNyJ9.3vJq0w';
const mutationId = '0195f0a2-6a1c-7d2e-8f00-3c5d2b1a4e66';
const conflictId = '5e0c1f7a-9a43-8f3e-b2c6-70d1a4f0c2b9';
const entity = { entityType: 'note', entityId: 'n1' };
const sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

const stored = {
  ...entity,
  op: 'put',
  clock: { 'd:phone-1': 1, 's:learning': 3 },
  schemaVersion: 1,
  committedAt: '2026-03-01T09:30:01.900Z',
  data: { userId: 'u1', text: 'Tack early.' },
};
/** `n1`, as the whole content of the scope. */
const digest = { count: 1, hash: sha256 };

const mutation = {
  ...{ mutationId, sequence: 7, scope, ...entity },
  op: 'patch',
  data: { text: 'Tack late.' },
  baseClock: stored.clock,
  occurredAt: '2026-03-01T09:28:40.000Z',
  schemaVersion: 1,
};

const detectedAt = '2026-03-01T09:30:02.000Z';
const openConflict = {
  ...{ conflictId, status: 'open', policy: 'lww' },
  ...{ userId: 'u1', deviceId: 'phone-1', mutationId, scope, ...entity },
  op: 'patch',
  base: { userId: 'u1', text: 'Tack early.' },
  ours: { userId: 'u1', text: 'Tack in time.' },
  theirs: { text: 'Tack late.' },
  theirsUpdate: null,
  clocks: {
    ours: { 'd:phone-1': 1, 'd:tablet-1': 1, 's:learning': 3 },
    theirs: { 'd:phone-1': 2, 's:learning': 3 },
  },
  fields: [
    { field: 'text', base: 'Tack early.', ours: 'Tack in time.', theirs: 'Tack late.', winner: 'open' },
  ],
  blocks: [],
  decision: null,
  decider: null,
  detectedAt,
  resolvedAt: null,
  history: [
    {
      conflictId,
      at: detectedAt,
      what: 'detected',
      who: { kind: 'policy', policy: 'lww' },
      facts: {},
      previous: '',
      hash: sha256,
    },
  ],
  suggestions: [],
};
const resolvedAt = '2026-03-01T09:41:10.000Z';
const person = { userId: 'u1', deviceId: 'phone-1' };
const resolvedConflict = {
  ...openConflict,
  status: 'resolved',
  fields: openConflict.fields.map((field) => ({ ...field, winner: 'theirs' })),
  decision: {
    kind: 'keep_client',
    mutationId: '5e0c1f7a-9a43-8f3e-b2c6-70d1a4f0c2ba',
    clock: { ...openConflict.clocks.ours, 's:learning': 4 },
    op: 'patch',
    data: { text: 'Tack late.' },
  },
  decider: { kind: 'person', ...person },
  resolvedAt,
};
const conflictSummary: JsonObject = {
  ...{ conflictId, status: 'open', policy: 'lww', ...entity, scope, ...person, mutationId },
  ...{ fields: ['text'], detectedAt, resolvedAt: null, resolution: null },
};

/** By operationId. Every JSON body of the device API has one; a test checks each against its schema. */
export const DEVICE_EXAMPLES: Readonly<Record<string, OperationExamples>> = {
  postPull: {
    request: {
      scopes: [{ scope, cursor: null }],
      limit: 500,
      waitMs: 25_000,
      backlog: { pending: 0, oldestAt: null },
    },
    response: {
      serverTime,
      scopes: [{ scope, reset: true, deltas: [stored], cursor, hasMore: false, digest }],
      revoked: [],
      outcomes: [],
      directives: [],
      granted: ['course:c1'],
    },
  },
  postPush: {
    request: { sentAt: '2026-03-01T09:30:02.000Z', mutations: [mutation] },
    response: {
      serverTime,
      outcomes: [{ mutationId, status: 'applied', clock: { ...stored.clock, 'd:phone-1': 2 } }],
    },
  },
  postAck: {
    request: { cursors: [{ scope, cursor, digest }], outcomes: [mutationId], purged: ['course:c9'] },
    response: { serverTime, cursors: [{ scope, status: 'advanced' }] },
  },
  getEntityTypes: {
    response: {
      serverTime,
      entityTypes: [
        {
          ...{ entityType: 'note', policy: 'lww', review: 'collisions' },
          ...{ schemaVersion: 1, oldestSchemaVersion: 1 },
          ...{ ops: ['put', 'patch', 'delete'], requiresTags: false },
        },
      ],
    },
  },
  getConflicts: { response: { serverTime, conflicts: [conflictSummary], next: null } },
  getConflictsId: { response: { serverTime, conflict: openConflict } },
  postResolveConflict: {
    request: { conflictId, resolution: { kind: 'keep_client' }, expectedClock: openConflict.clocks.ours },
    response: { serverTime: resolvedAt, conflict: resolvedConflict },
  },
  postTickets: {
    response: { serverTime, ticket: 'JQ3xv0c2m4Y9n1Lr8sUeWg', expiresAt: '2026-03-01T09:30:32.120Z' },
  },
  postConflictsIdSuggestions: {
    response: {
      serverTime,
      suggestion: { suggestionId: '0195f0a2-8f21-7aa0-9c11-5d2b1a4e6600', status: 'requested' },
    },
  },
};
