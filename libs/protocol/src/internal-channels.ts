import Type from 'typebox';
import {
  DeadLetterReplayReply,
  DeadLetterReplayRequest,
  DeadLettersReply,
  DeadLettersRequest,
  DevicesReply,
  DevicesRequest,
  ExplainReply,
  ExplainRequest,
} from './admin-api.ts';
import {
  ConflictHistoryReply,
  ConflictHistoryRequest,
  ConflictResolveReply,
  ConflictResolveRequest,
  ConflictShowReply,
  ConflictShowRequest,
  ConflictVerifyReply,
  ConflictVerifyRequest,
  ConflictsReply,
  ConflictsRequest,
} from './conflict-api.ts';
import { DeletedDataReply, DeletedDataRequest } from './deleted-data-api.ts';
import { FaultRequest, FaultState } from './fault-api.ts';
import { RelayHead, ReplayPageHead, ReplayRequest } from './hop-api.ts';
import { RegistryListReply, RegistryListRequest } from './owner-api.ts';
import { ALL_PARTIES, PRODUCERS, STREAM_READERS } from './parties.ts';
import { Count, TenantId } from './scalars.ts';
import { subjects } from './subjects.ts';
import {
  SuggestionReply,
  SuggestionRequest,
  SuggestionSettingsReply,
  SuggestionSettingsRequest,
} from './suggestion.ts';
import { type NatsChannel, notice, request } from './nats-channel.ts';

/** What the gateway asks the conflict-resolver. */
export const CONFLICT_CHANNELS: readonly NatsChannel[] = [
  request('conflicts', subjects.conflicts, 'internal', ConflictsRequest, ConflictsReply, {
    senders: ['sync-gateway'],
    receivers: ['conflict-resolver'],
    summary: 'ConflictRecords of a tenant, or of one user.',
  }),
  request('conflictShow', subjects.conflictShow, 'internal', ConflictShowRequest, ConflictShowReply, {
    senders: ['sync-gateway'],
    receivers: ['conflict-resolver'],
    summary: 'One ConflictRecord with its history and suggestions.',
  }),
  request(
    'conflictResolve',
    subjects.conflictResolve,
    'internal',
    ConflictResolveRequest,
    ConflictResolveReply,
    {
      senders: ['sync-gateway'],
      receivers: ['conflict-resolver'],
      summary:
        'A person’s resolution: claimed, pushed to the owner, recorded. The resolver decides who wins.',
    },
  ),
  request(
    'conflictHistory',
    subjects.conflictHistory,
    'internal',
    ConflictHistoryRequest,
    ConflictHistoryReply,
    {
      senders: ['sync-gateway'],
      receivers: ['conflict-resolver'],
      summary: 'What happened to one ConflictRecord, oldest first.',
    },
  ),
  request('conflictVerify', subjects.conflictVerify, 'internal', ConflictVerifyRequest, ConflictVerifyReply, {
    senders: ['sync-gateway'],
    receivers: ['conflict-resolver'],
    summary: 'Walks the hash chain of a tenant’s history and names the first broken link.',
  }),
];

/** Everything else between our own apps. */
export const INTERNAL_CHANNELS: readonly NatsChannel[] = [
  request('registryList', subjects.registryList, 'internal', RegistryListRequest, RegistryListReply, {
    senders: ['delta-projector'],
    receivers: ['sync-gateway'],
    summary: 'Every SyncRegistration, for apps that keep a copy.',
  }),
  notice(
    'registryChanged',
    { senders: ['sync-gateway'], receivers: ['sync-gateway', 'delta-projector'] },
    subjects.registryChanged,
    'A registration changed: read the list again.',
    Type.Object({}),
  ),
  notice(
    'gatewayHint',
    { senders: ['sync-gateway'], receivers: ['sync-gateway'] },
    subjects.gatewayHint,
    'Between replicas of the gateway: what changed and should be read again.',
    Type.Object({ from: Type.String(), news: Type.Object({}) }),
  ),
  request('explain', subjects.explain, 'internal', ExplainRequest, ExplainReply, {
    senders: ['sync-gateway'],
    receivers: ['delta-projector'],
    summary: 'What the projector knows about an entity.',
  }),
  request('deadLetters', subjects.deadLetters, 'internal', DeadLettersRequest, DeadLettersReply, {
    senders: ['sync-gateway'],
    receivers: ['delta-projector'],
    summary: 'Events that could not be projected.',
  }),
  request(
    'deadLetterReplay',
    subjects.deadLetterReplay,
    'internal',
    DeadLetterReplayRequest,
    DeadLetterReplayReply,
    {
      senders: ['sync-gateway'],
      receivers: ['delta-projector'],
      summary: 'Projects quarantined events again.',
    },
  ),
  request(
    'projectorRebuild',
    subjects.projectorRebuild,
    'internal',
    Type.Object({ tenantId: Type.Optional(TenantId) }),
    Type.Object({ tenants: Count }),
    {
      senders: ['sync-gateway'],
      receivers: ['delta-projector'],
      summary: 'Projects one tenant, or all, anew from the owners’ snapshots, under new epochs.',
    },
  ),
  request('deletedData', subjects.deletedData, 'internal', DeletedDataRequest, DeletedDataReply, {
    senders: ['sync-gateway'],
    receivers: ['delta-projector'],
    summary: 'What entities were before they were deleted, for edits that bring them back.',
  }),
  request('deviceHealth', subjects.deviceHealth, 'internal', DevicesRequest, DevicesReply, {
    senders: ['sync-gateway'],
    receivers: ['device-health'],
    summary: 'Devices of a tenant and their health.',
  }),
  request('suggestionRequest', subjects.suggestionRequest, 'internal', SuggestionRequest, SuggestionReply, {
    senders: ['sync-gateway'],
    receivers: ['conflict-resolver'],
    summary: 'A user asks for a suggestion how to merge; it is made in the background.',
  }),
  request(
    'suggestionSettings',
    subjects.suggestionSettings,
    'internal',
    SuggestionSettingsRequest,
    SuggestionSettingsReply,
    {
      senders: ['sync-gateway'],
      receivers: ['conflict-resolver'],
      summary: 'Whether a tenant has suggestions, their budgets, and what never leaves.',
    },
  ),
  notice(
    'relayHead',
    { senders: PRODUCERS, receivers: STREAM_READERS },
    subjects.relayHead('{stream}', '{partition}', '{producer}'),
    'The last number that a relay gave, once a second.',
    RelayHead,
  ),
  request('replay', subjects.replay('{producer}'), 'internal', ReplayRequest, ReplayPageHead, {
    senders: STREAM_READERS,
    receivers: PRODUCERS,
    summary: 'Asks a producer for messages that did not arrive.',
  }),
  notice(
    'relayKick',
    { senders: PRODUCERS, receivers: PRODUCERS },
    subjects.relayKick('{producer}'),
    'Wakes a relay; the payload is empty.',
    Type.Object({}),
  ),
  notice(
    'storeProbe',
    { senders: ALL_PARTIES, receivers: [] },
    subjects.storeProbe,
    'Stored in the stream SYNC_PROBE to learn whether JetStream stores at all; the payload is empty.',
    Type.Object({}),
  ),
  request('faults', subjects.faults('{service}'), 'internal', FaultRequest, FaultState, {
    senders: [],
    receivers: ALL_PARTIES,
    summary:
      'For crash tests: ends the process at a named place. Only where FAULT_INJECTION is set, which ' +
      'production refuses.',
  }),
];
