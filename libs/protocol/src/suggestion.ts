/**
 * A proposal how to resolve a conflict, with where it came from. It is never applied by itself: only
 * `accept_suggestion` by a person does.
 */
import Type, { type Static } from 'typebox';
import {
  Count,
  DeviceId,
  EntityData,
  EntityId,
  EntityType,
  Scope,
  TenantId,
  Timestamp,
  UserId,
  VectorClock,
} from './scalars.ts';

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of canonical JSON.' });
const SuggestionId = Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' });
const SuggestionStatus = Type.String({
  maxLength: 64,
  description:
    'requested, ready, failed (see `code`), stale (the entity has moved), accepted, dismissed. May grow ' +
    'within v1.',
});

const SuggestedChanges = Type.Object(
  { set: EntityData, remove: Type.Array(Type.String()) },
  { description: 'Laid over the server’s value. Fields named in neither keep it; redacted ones always do.' },
);

const Provenance = Type.Object(
  {
    model: Type.Optional(Type.String({ description: 'As it named itself in its answer.' })),
    modelVersion: Type.Optional(Type.String()),
    promptHash: Sha256,
    baseHash: Sha256,
    oursHash: Sha256,
    theirsHash: Sha256,
    outputHash: Type.Optional(Sha256),
    promptTokens: Type.Optional(Count),
    outputTokens: Type.Optional(Count),
  },
  { description: 'The hashes of base, ours and theirs are those of what was sent, after redaction.' },
);

export const Suggestion = Type.Object(
  {
    suggestionId: SuggestionId,
    status: SuggestionStatus,
    code: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' })),
    clock: VectorClock,
    clockHash: Sha256,
    changes: Type.Optional(SuggestedChanges),
    redactedFields: Type.Array(Type.String()),
    confidence: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: 'The model’s own opinion, no probability.' }),
    ),
    rationale: Type.Optional(
      Type.String({ maxLength: 2000, description: 'Text of a model: show it as such.' }),
    ),
    requestedBy: UserId,
    requestedAt: Timestamp,
    finishedAt: Type.Optional(Timestamp),
    decidedBy: Type.Optional(UserId),
    decidedAt: Type.Optional(Timestamp),
    parameters: Type.Record(Type.String(), Type.Unknown()),
    provenance: Provenance,
  },
  {
    $id: 'Suggestion',
    description: 'What a language model proposes. `clock` is the entity’s clock that it holds for.',
  },
);
export type Suggestion = Static<typeof Suggestion>;

const Asked = Type.Object({ suggestionId: SuggestionId, status: SuggestionStatus });

/** `POST /sync/v1/conflicts/{id}/suggestions`, answered 202. */
export const SuggestionResponse = Type.Object(
  { serverTime: Timestamp, suggestion: Asked },
  {
    $id: 'SuggestionResponse',
    description: 'The suggestion appears in the ConflictRecord when it is ready.',
  },
);
export type SuggestionResponse = Static<typeof SuggestionResponse>;

/** `sync.suggestions.v1.request`, from the gateway to the resolver. */
export const SuggestionRequest = Type.Object(
  {
    tenantId: TenantId,
    userId: UserId,
    deviceId: DeviceId,
    conflictId: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    present: Type.Optional(Type.Object({ clock: VectorClock, data: Type.Union([EntityData, Type.Null()]) })),
  },
  {
    $id: 'SuggestionRequest',
    description:
      'Asked without `present` first: the answer `needs_present` names the entity, whose present state ' +
      'only the gateway knows.',
  },
);
export type SuggestionRequest = Static<typeof SuggestionRequest>;

export const SuggestionReply = Type.Union(
  [
    Type.Object({
      kind: Type.Literal('needs_present'),
      scope: Scope,
      entityType: EntityType,
      entityId: EntityId,
    }),
    Type.Object({ kind: Type.Literal('asked'), ...Asked.properties }),
    Type.Object({ kind: Type.Literal('over_budget'), retryAfterMs: Count }),
  ],
  { $id: 'SuggestionReply' },
);
export type SuggestionReply = Static<typeof SuggestionReply>;

/** Suggestions of a tenant: off unless an administrator switches them on. */
export const SuggestionSettings = Type.Object(
  {
    enabled: Type.Boolean(),
    tokensPerDay: Type.Integer({
      minimum: 0,
      maximum: 1e12,
      description: 'Of questions and answers together; days are UTC.',
    }),
    costPerDayMicros: Type.Integer({
      minimum: 0,
      maximum: 1e12,
      description: 'Millionths of the currency that the endpoint’s prices are configured in.',
    }),
    redactFields: Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
      maxItems: 200,
      description: 'Names of fields that never leave, at any depth, whatever their case.',
    }),
    redactPatterns: Type.Array(Type.String({ minLength: 1, maxLength: 500 }), {
      maxItems: 50,
      description:
        'Regular expressions (flags iu); a field that one matches, in its name or a text, never leaves.',
    }),
  },
  { $id: 'SuggestionSettings' },
);
export type SuggestionSettings = Static<typeof SuggestionSettings>;

/** `sync.suggestions.v1.settings`, from the admin API; without `settings` they are only read. */
export const SuggestionSettingsRequest = Type.Object(
  { tenantId: TenantId, userId: UserId, settings: Type.Optional(SuggestionSettings) },
  { $id: 'SuggestionSettingsRequest' },
);

export const SuggestionUsage = Type.Object(
  { day: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }), tokens: Count, costMicros: Count },
  { $id: 'SuggestionUsage', description: 'What the day has used or reserved until now.' },
);

export const SuggestionSettingsReply = Type.Object(
  {
    settings: SuggestionSettings,
    usage: SuggestionUsage,
    endpoint: Type.Union([Type.Null(), Type.Object({ model: Type.String() })], {
      description: 'Null: no endpoint is configured, so that nothing can be enabled.',
    }),
  },
  { $id: 'SuggestionSettingsReply' },
);
export type SuggestionSettingsReply = Static<typeof SuggestionSettingsReply>;
