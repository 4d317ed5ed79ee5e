/**
 * The messages that F07 freezes: `/sync/v1/` and what owning services rely on. Internal messages and the
 * admin API are not among them.
 */
import type { TSchema } from 'typebox';
import {
  AckRequest,
  AckResponse,
  LiveNotice,
  PullRequest,
  PullResponse,
  PushRequest,
  PushResponse,
  TicketResponse,
} from '../src/device-api.ts';
import { ConflictRecord, ConflictResponse, ResolveConflictRequest } from '../src/conflict-record.ts';
import { ConflictsResponse } from '../src/device-operations.ts';
import { Problem } from '../src/error-codes.ts';
import { NATS_CHANNELS } from '../src/nats-channels.ts';
import { SuggestionResponse } from '../src/suggestion.ts';
import type { Reader } from './compare-schemas.ts';

export interface WireSchema {
  readonly name: string;
  /** Who reads the message; it decides which changes are additive. */
  readonly reader: Reader;
  readonly schema: TSchema;
}

const wire = (reader: Reader, schemas: Readonly<Record<string, TSchema>>): WireSchema[] =>
  Object.entries(schemas).map(([name, schema]) => ({ name, reader, schema }));

/**
 * Requests that the platform answers; every other public request is asked by the platform and answered by
 * others.
 */
const ANSWERED_BY_PLATFORM = new Set(['register']);
/**
 * Messages that the platform publishes; every other public message comes from owning services or the identity
 * service.
 */
const WRITTEN_BY_PLATFORM = new Set(['syncEvents']);

function natsSchemas(): WireSchema[] {
  return NATS_CHANNELS.filter(({ audience }) => audience === 'public').flatMap((channel): WireSchema[] => {
    if (channel.kind !== 'request') {
      const reader: Reader = WRITTEN_BY_PLATFORM.has(channel.name) ? 'others' : 'platform';
      return channel.messages.map(({ name, schema }) => ({ name, reader, schema }));
    }
    const answers = ANSWERED_BY_PLATFORM.has(channel.name);
    return [
      { ...channel.request, reader: answers ? 'platform' : 'others' },
      { ...channel.reply, reader: answers ? 'others' : 'platform' },
    ];
  });
}

export const WIRE_SCHEMAS: readonly WireSchema[] = [
  ...wire('platform', { PullRequest, PushRequest, AckRequest, ResolveConflictRequest }),
  ...wire('others', {
    PullResponse,
    PushResponse,
    AckResponse,
    TicketResponse,
    SuggestionResponse,
    LiveNotice,
    Problem,
  }),
  ...wire('others', { ConflictRecord, ConflictResponse, ConflictsResponse }),
  ...natsSchemas(),
];
