/**
 * Every NATS subject of the platform as data: AsyncAPI is generated from this list, and a test compares it
 * with `subjects`.
 */
import { CONFLICT_CHANNELS, INTERNAL_CHANNELS } from './internal-channels.ts';
import type { NatsChannel } from './nats-channel.ts';
import { OWNER_CHANNELS, STREAM_CHANNELS } from './service-channels.ts';

export const NATS_CHANNELS: readonly NatsChannel[] = [
  ...STREAM_CHANNELS,
  ...OWNER_CHANNELS,
  ...CONFLICT_CHANNELS,
  ...INTERNAL_CHANNELS,
];
