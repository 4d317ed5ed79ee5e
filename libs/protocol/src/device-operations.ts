/**
 * The HTTP operations of `/sync/v1/` as data: OpenAPI is generated from this list, and a test compares it
 * with the routes.
 */
import Type, { type TSchema } from 'typebox';
import { ADMIN_PAGE_SIZE, PageCursor } from './admin-api.ts';
import { ConflictsReply } from './conflict-api.ts';
import { ConflictResponse, ConflictStatus, ResolveConflictRequest } from './conflict-record.ts';
import {
  AckRequest,
  AckResponse,
  PullRequest,
  PullResponse,
  PushRequest,
  PushResponse,
  TicketResponse,
} from './device-api.ts';
import { EntityTypesResponse } from './entity-types-api.ts';
import type { ProblemCode } from './problem-codes.ts';
import { liveCloseCodes } from './live-close-codes.ts';
import type { Priority } from './priorities.ts';
import { SuggestionResponse } from './suggestion.ts';
import { EntityType, SentUuid, Timestamp } from './scalars.ts';

export interface DeviceOperation {
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  /** Proof of who calls: a signed request with a token, or the ticket of a socket. */
  readonly access: 'signature' | 'ticket';
  /** When it is refused while the server has too much to do. */
  readonly priority: Priority;
  readonly params?: Readonly<Record<string, TSchema>>;
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** The status of success; 200 unless given. */
  readonly status?: 202;
  /** null: the connection becomes a WebSocket. */
  readonly response: TSchema | null;
  readonly problems: readonly ProblemCode[];
}

/** What any signed request may be answered with. */
export const SIGNED_PROBLEMS: readonly ProblemCode[] = [
  'unauthenticated',
  'signature_invalid',
  'clock_skew',
  'device_not_bound',
  'device_revoked',
  'rate_limited',
  'internal',
  'unavailable',
];

/** What any request with a JSON body may be answered with. */
const BODY_PROBLEMS: readonly ProblemCode[] = [
  'malformed_json',
  'schema_invalid',
  'limit_exceeded',
  'payload_too_large',
  'unsupported_media_type',
];

const TicketQuery = Type.Object({
  ticket: Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'From POST /sync/v1/tickets; one use, 30 s.',
  }),
});

const ConflictsQuery = Type.Object({
  status: Type.Optional(ConflictStatus),
  entityType: Type.Optional(EntityType),
  cursor: Type.Optional(PageCursor),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ADMIN_PAGE_SIZE })),
});

export const ConflictsResponse = Type.Object(
  { serverTime: Timestamp, ...ConflictsReply.properties },
  { $id: 'ConflictsResponse' },
);

const CONFLICT_OPERATIONS: readonly DeviceOperation[] = [
  {
    method: 'get',
    path: '/sync/v1/conflicts',
    summary: 'The user’s conflicts',
    description:
      'Newest first. A ConflictRecord belongs to the user whose mutation it is about; records of others do ' +
      'not exist here. They are pulled as well, as entities of type `conflict`.',
    access: 'signature',
    priority: 'resync',
    query: ConflictsQuery,
    response: ConflictsResponse,
    problems: ['schema_invalid', 'cursor_invalid'],
  },
  {
    method: 'get',
    path: '/sync/v1/conflicts/{id}',
    summary: 'One conflict with everything that a person needs to decide it',
    description: 'Both sides, field by field, policy, history and suggestions.',
    access: 'signature',
    priority: 'resync',
    params: { id: SentUuid },
    response: ConflictResponse,
    problems: ['not_found'],
  },
  {
    method: 'post',
    path: '/sync/v1/resolve-conflict',
    summary: 'Decides an open conflict',
    description:
      '`keep_server` changes nothing but the record; `keep_client` submits the mutation as it was sent, ' +
      '`merged` what the person made of it, `accept_suggestion` a stored suggestion. The change goes ' +
      'through the push handler of the owning service, expects the entity at `expectedClock`, and counts ' +
      'as a change of that service. The same request again gets the same answer. `conflict_moved` carries ' +
      '`current`, `conflict_already_resolved` the record (`conflict`), `resolution_rejected` the owner’s ' +
      'code (`ownerCode`).',
    access: 'signature',
    priority: 'push',
    body: ResolveConflictRequest,
    response: ConflictResponse,
    problems: [
      ...BODY_PROBLEMS,
      'not_found',
      'conflict_already_resolved',
      'conflict_moved',
      'suggestion_not_ready',
      'resolution_rejected',
    ],
  },
];

export const DEVICE_OPERATIONS: readonly DeviceOperation[] = [
  {
    method: 'post',
    path: '/sync/v1/pull',
    summary: 'What is new for this device',
    description:
      'Pages of deltas per scope in commit order, from the given cursors on; outcomes that the device has ' +
      'not acked; scopes to purge. With `waitMs` the answer is held back until there is something new. A ' +
      'null, expired or outdated cursor starts a full resync: `reset` is true on its first page and means ' +
      '“replace what you hold of this scope; keep your unpushed mutations”. ' +
      'With `ack`, that is carried out first, as by `POST /sync/v1/ack`.',
    access: 'signature',
    priority: 'delivery',
    body: PullRequest,
    response: PullResponse,
    problems: [...BODY_PROBLEMS, 'cursor_invalid'],
  },
  {
    method: 'post',
    path: '/sync/v1/push',
    summary: 'Hands over local mutations',
    description:
      'One outcome per mutation, in the same order. A mutation that was answered is never lost and never ' +
      'applied twice, however often it is sent. A mutation that does not match its schema is answered ' +
      '`rejected` and does not harm its neighbours. With `ack`, that is carried out first, as by ' +
      '`POST /sync/v1/ack`.',
    access: 'signature',
    priority: 'push',
    body: PushRequest,
    response: PushResponse,
    problems: [...BODY_PROBLEMS, 'cursor_invalid'],
  },
  {
    method: 'post',
    path: '/sync/v1/ack',
    summary: 'Confirms what the device has stored',
    description:
      'Cursors up to which everything is stored, outcomes that were seen, scopes that were purged. A late ' +
      'or repeated ack is no error: a SyncCursor only ever advances.',
    access: 'signature',
    priority: 'delivery',
    body: AckRequest,
    response: AckResponse,
    problems: [...BODY_PROBLEMS, 'cursor_invalid'],
  },
  {
    method: 'get',
    path: '/sync/v1/entity-types',
    summary: 'What can be written, and how',
    description:
      'Every registered entity type with its policy, its ops and the versions of its schema that are ' +
      'taken. A registration may change while a device is offline: then its outcomes say so.',
    access: 'signature',
    priority: 'delivery',
    response: EntityTypesResponse,
    problems: [],
  },
  ...CONFLICT_OPERATIONS,
  {
    method: 'post',
    path: '/sync/v1/tickets',
    summary: 'A ticket for a socket',
    description:
      'For WebSockets, which cannot carry headers in a browser. One use, 30 s. The body is empty or `{}`.',
    access: 'signature',
    priority: 'delivery',
    response: TicketResponse,
    problems: [],
  },
  {
    method: 'post',
    path: '/sync/v1/conflicts/{id}/suggestions',
    summary: 'Asks a language model how to merge a conflict',
    description:
      'Answered at once; the suggestion is made in the background and then appears in the ConflictRecord. ' +
      'While one waits or is ready for the present state, asking again answers that one. The body is empty ' +
      'or `{}`. `rate_limited`: the tenant’s budget of the day is used up.',
    access: 'signature',
    priority: 'resync',
    params: { id: Type.String({ description: 'The conflictId.' }) },
    response: SuggestionResponse,
    status: 202,
    problems: ['not_found', 'conflict_already_resolved', 'suggestions_disabled'],
  },
  {
    method: 'get',
    path: '/sync/v1/live',
    summary: 'A socket that tells when to pull',
    description:
      'Upgrade to WebSocket. The server sends a LiveNotice as text whenever something new can be pulled in ' +
      'the named scopes; it may name too many, never too few. The first one names all scopes of the user ' +
      'and comes when the ticket was redeemed: pull then. It pings; an unanswered ping closes the socket. ' +
      closeCodes(),
    access: 'ticket',
    priority: 'delivery',
    query: TicketQuery,
    response: null,
    problems: ['unavailable'],
  },
];

function closeCodes(): string {
  const codes = liveCloseCodes().map(({ code, meaning }) => `${code}: ${meaning}`);
  return `Close codes: ${codes.join(' ')}`;
}
