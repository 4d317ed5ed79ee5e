/**
 * Who is who on NATS. Every process has an identity (an nkey) with the name of its service:
 *
 * | party               | who                                                            |
 * | ------------------- | -------------------------------------------------------------- |
 * | the names of apps   | the four processes of the platform                             |
 * | `identity`          | your identity service                                          |
 * | `owner`             | a service that owns entity types; conflict-resolver is one too |
 * | `reader`            | a service that reads sync events                               |
 */
export type Party = PlatformApp | 'identity' | 'owner' | 'reader';

export const PLATFORM_APPS = [
  'sync-gateway',
  'delta-projector',
  'conflict-resolver',
  'device-health',
] as const;
export type PlatformApp = (typeof PLATFORM_APPS)[number];

/** Everybody who has an identity. */
export const ALL_PARTIES: readonly Party[] = [...PLATFORM_APPS, 'identity', 'owner', 'reader'];

/** Whoever has an outbox: its relay publishes to a stream. */
export const PRODUCERS: readonly Party[] = [...PLATFORM_APPS, 'owner'];

/** Whoever has an inbox: it reads a stream, and asks producers for what did not arrive. */
export const STREAM_READERS: readonly Party[] = [...PLATFORM_APPS, 'reader'];
