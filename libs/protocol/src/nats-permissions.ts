import type { NatsChannel } from './nats-channel.ts';
import { NATS_CHANNELS } from './nats-channels.ts';
import { type Party, PLATFORM_APPS } from './parties.ts';
import { PLATFORM_SERVICE_RIGHTS, type RightsOfService, type ServiceRights } from './service-rights.ts';
import {
  PLAIN_PARTITION,
  PROBE_STREAM,
  STREAMS,
  type StreamDeclaration,
  type StreamName,
} from './streams.ts';
import { subjects } from './subjects.ts';

/** What one identity may do; everything else is refused. Patterns of subjects as NATS reads them. */
export interface NatsPermissions {
  readonly publish: readonly string[];
  /** Taken out of what `publish` allows. */
  readonly publishDenied: readonly string[];
  readonly subscribe: readonly string[];
}

/** Where an identity gets its replies; nobody else may listen there. */
export function inboxPrefix(service: string): string {
  return `_INBOX.${service}`;
}

/** Every service that has an identity, by what the deployment says about its services. */
export function identitiesOf(rights: ServiceRights): string[] {
  const { services, readers = [] } = rights;
  return [...new Set([...PLATFORM_APPS, 'identity', ...Object.keys(services), ...readers])];
}

/**
 * Everything that one identity may publish and listen to, derived from the channels of the platform.
 *
 * A party that receives a channel listens on the subject with its own name in it; one that sends may fill in
 * any name, except where the name is the sender's.
 *
 * @throws RangeError for a name that {@link identitiesOf} does not have
 */
export function permissionsOf(service: string, rights: ServiceRights): NatsPermissions {
  const parties = partiesOf(service, rights);
  if (parties.size === 0) throw new RangeError(`${service} is no service of this platform`);
  const own = rights.services[service];
  const publish = [
    ...NATS_CHANNELS.flatMap((channel) => sentSubjects(channel, service, parties)),
    ...ownNames(service, own),
    ...foreignNames(parties, rights),
    ...jetstreamRequests(service, parties, rights),
  ];
  const subscribe = [
    `${inboxPrefix(service)}.>`,
    ...NATS_CHANNELS.flatMap((channel) => heardSubjects(channel, service, parties)),
    ...ownNames(service, own),
  ];
  return {
    publish: unique(publish),
    publishDenied: parties.has('delta-projector') ? NOT_REPLAYED_BY_PROJECTOR : [],
    subscribe: unique(subscribe),
  };
}

function partiesOf(service: string, { services, readers = [] }: ServiceRights): ReadonlySet<Party> {
  const parties = new Set<Party>();
  for (const app of PLATFORM_APPS) if (app === service) parties.add(app);
  if (service === 'identity') parties.add('identity');
  if (Object.hasOwn({ ...services, ...PLATFORM_SERVICE_RIGHTS }, service)) parties.add('owner');
  if (readers.includes(service)) parties.add('reader');
  return parties;
}

function hasAny(parties: ReadonlySet<Party>, wanted: readonly Party[]): boolean {
  return wanted.some((party) => parties.has(party));
}

/** A name that only the sender itself may fill in. */
const SENDERS_NAME = [
  'domainEvents',
  'plainDomainEvents',
  'deltas',
  'syncEvents',
  'relayHead',
  'relayKick',
  'registerAs',
];

function sentSubjects(channel: NatsChannel, service: string, parties: ReadonlySet<Party>): string[] {
  if (isNamedByOwners(channel)) return [];
  if (channel.name === 'relayHead') {
    return streamsOf(parties, 'producers').map(({ name }) => subjects.relayHead(name, '*', service));
  }
  if (channel.name === 'replay') return replayedProducers(parties).map((name) => subjects.replay(name));
  if (!hasAny(parties, channel.senders)) return [];
  return [filled(channel.address, SENDERS_NAME.includes(channel.name) ? service : '*')];
}

function heardSubjects(channel: NatsChannel, service: string, parties: ReadonlySet<Party>): string[] {
  // Streams are read through JetStream, which sends to the inbox.
  if (channel.kind === 'stream' || isNamedByOwners(channel)) return [];
  if (channel.name === 'relayHead') {
    return streamsOf(parties, 'readers').map(({ name }) => subjects.relayHeads(name));
  }
  if (!hasAny(parties, channel.receivers)) return [];
  return [filled(channel.address, channel.name === 'registerAs' ? '*' : service)];
}

/** Its subject stands in registrations; {@link ownNames} bounds it. */
function isNamedByOwners({ address }: NatsChannel): boolean {
  return address.startsWith('{');
}

/** The address with the name of the service that it is about, and `*` for the other variable tokens. */
function filled(address: string, service: string): string {
  return address.replace(/\{(service|producer)\}/, service).replaceAll(/\{\w+\}/g, '*');
}

/** Whoever reads a stream may ask its producers for what did not arrive. */
function replayedProducers(parties: ReadonlySet<Party>): string[] {
  const producers = Object.values(STREAM_PARTIES).filter(({ readers }) => hasAny(parties, readers));
  return producers.flatMap((stream) => stream.producers.map((party) => (party === 'owner' ? '*' : party)));
}

/** A service's own names are its to use, also where its registration points the platform to them. */
function ownNames(service: string, own: RightsOfService | undefined): string[] {
  return own === undefined ? [] : [`${service}.>`, ...(own.subjects ?? [])];
}

/** Gateway, projector and resolver ask services where their registrations say. */
function foreignNames(parties: ReadonlySet<Party>, { services }: ServiceRights): string[] {
  if (!hasAny(parties, ['sync-gateway', 'delta-projector', 'conflict-resolver'])) return [];
  return Object.entries(services).flatMap(([name, own]) => ownNames(name, own));
}

interface StreamParties {
  readonly producers: readonly Party[];
  readonly readers: readonly Party[];
}

const STREAM_PARTIES: Readonly<Record<StreamName, StreamParties>> = {
  DOMAIN_EVENTS: { producers: ['owner'], readers: ['delta-projector'] },
  DELTAS: { producers: ['delta-projector'], readers: ['sync-gateway'] },
  SYNC_EVENTS: { producers: PLATFORM_APPS, readers: ['device-health', 'conflict-resolver', 'reader'] },
};

/** The projector reads what any owning service published, but not what these did. */
const NOT_REPLAYED_BY_PROJECTOR = [subjects.replay('sync-gateway'), subjects.replay('device-health')];

function streamsOf(parties: ReadonlySet<Party>, role: keyof StreamParties): StreamDeclaration[] {
  const names = Object.keys(STREAM_PARTIES) as StreamName[];
  return names.filter((name) => hasAny(parties, STREAM_PARTIES[name][role])).map((name) => STREAMS[name]);
}

/**
 * Requests to JetStream itself. Nobody may read a stream but by the consumers of its own name, and nobody may
 * delete or purge one. Only the platform's apps create streams or change them.
 */
function jetstreamRequests(service: string, parties: ReadonlySet<Party>, rights: ServiceRights): string[] {
  const api = '$JS.API';
  const produced = streamsOf(parties, 'producers');
  const read = streamsOf(parties, 'readers');
  const seen = [...produced, ...read, PROBE_STREAM];
  const isApp = hasAny(parties, PLATFORM_APPS);
  const ensuresAll = hasAny(parties, ['sync-gateway', 'delta-projector']);
  const ensured = ensuresAll ? [...Object.values(STREAMS), PROBE_STREAM] : isApp ? seen : [];
  return [
    ...[...seen, ...ensured].map(({ name }) => `${api}.STREAM.INFO.${name}`),
    ...ensured.flatMap(({ name }) => [`${api}.STREAM.CREATE.${name}`, `${api}.STREAM.UPDATE.${name}`]),
    // What a relay published last; the subject is part of the request, so that it reads its own alone.
    ...produced.map(({ name, subjectPrefix }) => `${api}.DIRECT.GET.${name}.${subjectPrefix}.*.${service}`),
    ...read.flatMap((stream) => consumerRequests(stream, service)),
    ...(parties.has('delta-projector') ? foreignStreams(rights) : []),
  ];
}

function consumerRequests({ name: stream, partitions }: StreamDeclaration, service: string): string[] {
  const tokens = [
    ...Array.from({ length: partitions }, (_none, partition) => String(partition)),
    PLAIN_PARTITION,
  ];
  return tokens.flatMap((token) => {
    const consumer = `${stream}.${service}-${token}`;
    return [
      `$JS.API.CONSUMER.CREATE.${consumer}.>`,
      ...['DURABLE.CREATE', 'INFO', 'DELETE', 'MSG.NEXT'].map(
        (verb) => `$JS.API.CONSUMER.${verb}.${consumer}`,
      ),
      `$JS.ACK.${consumer}.>`,
    ];
  });
}

function foreignStreams({ services }: ServiceRights): string[] {
  const streams = Object.values(services).flatMap((own) => own.streams ?? []);
  if (streams.length === 0) return [];
  return [
    '$JS.API.STREAM.NAMES',
    ...streams.flatMap((stream) => [
      `$JS.API.CONSUMER.*.${stream}.>`,
      `$JS.API.CONSUMER.*.*.${stream}.>`,
      `$JS.ACK.${stream}.>`,
    ]),
  ];
}

function unique(patterns: readonly string[]): string[] {
  return [...new Set(patterns)].sort();
}
