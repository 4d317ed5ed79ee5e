/** Builds the AsyncAPI 3 document of everything that travels over NATS (`docs/api/asyncapi.json`). */
import Type from 'typebox';
import { NATS_CHANNELS } from './nats-channels.ts';
import type { NamedSchema, NatsChannel } from './nats-channel.ts';
import { SchemaComponents } from './schema-components.ts';
import type { Json, JsonObject } from './schema-components.ts';
import { STREAMS } from './streams.ts';
import { PROTOCOL_VERSION } from './version/history.ts';

/** Every reply may be this instead. */
const RemoteFault = Type.Object(
  {
    error: Type.Object(
      {
        code: Type.String({ description: 'A problem code, or one of the answering service.' }),
        message: Type.String({ description: 'For people.' }),
        errors: Type.Optional(
          Type.Array(
            Type.Object({
              path: Type.String({ description: 'JSON Pointer into the request.' }),
              message: Type.String({ description: 'What is wrong there.' }),
            }),
            { description: 'Each fault by itself, where it is the request that is wrong.' },
          ),
        ),
      },
      { description: 'Nothing of the request was done.' },
    ),
  },
  { $id: 'RemoteFault' },
);

/** Numbers of the hop; messages of producers without the SDK carry none. */
const NumberedHeaders = Type.Object(
  {
    'sync-producer': Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
    'sync-epoch': Type.String({ description: 'Changes when the producer’s database is rebuilt.' }),
    'sync-number': Type.String({
      pattern: '^[1-9][0-9]{0,15}$',
      description: 'Contiguous per producer, epoch and partition.',
    }),
    'Nats-Msg-Id': Type.String({ description: '`<producer>:<stream>:<epoch>:<partition>:<number>`' }),
  },
  { $id: 'NumberedHeaders' },
);

const FAULT: NamedSchema = { name: 'Fault', schema: RemoteFault };

export function natsDocument(): JsonObject {
  const components = new SchemaComponents();
  const channels = NATS_CHANNELS.flatMap((channel) => channelEntries(channel, components));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Sync over NATS',
      version: PROTOCOL_VERSION,
      description: introduction(),
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: AUDIENCES,
    },
    defaultContentType: 'application/json',
    servers: {
      nats: { host: 'nats:4222', protocol: 'nats', description: 'nats-server 2.9 or newer, with JetStream.' },
    },
    channels: Object.fromEntries(channels),
    operations: Object.fromEntries(
      NATS_CHANNELS.map((channel) => [operationName(channel), operation(channel)]),
    ),
    components: { schemas: components.all() },
  };
}

const AUDIENCES: Json = [
  { name: 'internal', description: 'Between the apps of the platform; versioned with the code.' },
  { name: 'public', description: 'Frozen: any owning service may rely on it.' },
];

function introduction(): string {
  const streams = Object.values(STREAMS).map(
    ({ name, subjectPrefix, partitions, maxAgeHours, owner, consumers }) =>
      `- \`${name}\`: \`${subjectPrefix}.>\`, ${partitions} partitions, kept ${maxAgeHours} h; from ${owner} to ${consumers.join(', ')}`,
  );
  return [
    'Subjects marked `public` are part of the frozen contract (additive within v1); `internal` ones are ' +
      'versioned with the code. A request whose handler fails is answered `{"error": {"code", "message"}}`.',
    `JetStream streams:\n${streams.join('\n')}`,
  ].join('\n\n');
}

/** Who sends and who answers, as `permissionsOf` gives it to their users in NATS. */
function partiesOf({ senders, receivers }: NatsChannel): string {
  const list = (parties: readonly string[]): string => (parties.length === 0 ? 'nobody' : parties.join(', '));
  return `Sent by: ${list(senders)}. Received by: ${list(receivers)}.`;
}

function operationName(channel: NatsChannel): string {
  const verb = { stream: 'publish', notice: 'announce', request: 'ask' }[channel.kind];
  return verb + channel.name.slice(0, 1).toUpperCase() + channel.name.slice(1);
}

/** A request has a second channel without an address: the reply goes to the inbox that the request names. */
function channelEntries(channel: NatsChannel, components: SchemaComponents): [string, JsonObject][] {
  const sent = channel.kind === 'request' ? [channel.request] : channel.messages;
  const numbered = channel.kind === 'stream' && channel.address.includes('{partition}');
  const parameters = [...channel.address.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name = '']) => name);
  const entry: JsonObject = {
    address: channel.address,
    summary: channel.summary,
    description: `Audience: ${channel.audience}. ${partiesOf(channel)}`,
    tags: [{ name: channel.audience }],
    ...(parameters.length > 0
      ? {
          parameters: Object.fromEntries(
            parameters.map((name) => [name, { description: PARAMETERS[name] ?? name }]),
          ),
        }
      : {}),
    messages: messagesOf(sent, components, numbered),
  };
  if (channel.kind !== 'request') return [[channel.name, entry]];
  const reply: JsonObject = {
    address: null,
    summary: `Reply to ${channel.name}`,
    messages: messagesOf([channel.reply, FAULT], components, false),
  };
  return [
    [channel.name, entry],
    [`${channel.name}Reply`, reply],
  ];
}

const PARAMETERS: Readonly<Record<string, string>> = {
  partition: 'Decimal, from 0; the number of partitions of a stream never changes.',
  producer: 'The service that writes the outbox.',
  service: 'The owning service, as registered.',
  entityType: 'As registered.',
  stream: 'Name of the JetStream stream.',
  projectionSubject: '`projection.subject` of the registration.',
};

function messagesOf(
  messages: readonly NamedSchema[],
  components: SchemaComponents,
  numbered: boolean,
): JsonObject {
  return Object.fromEntries(
    messages.map(({ name, schema }) => [
      name,
      {
        name,
        ...(numbered ? { headers: components.use(NumberedHeaders) } : {}),
        payload: components.use(schema),
      },
    ]),
  );
}

function operation(channel: NatsChannel): JsonObject {
  const sent = channel.kind === 'request' ? [channel.request] : channel.messages;
  return {
    action: 'send',
    summary: channel.summary,
    description: partiesOf(channel),
    channel: { $ref: `#/channels/${channel.name}` },
    messages: sent.map(({ name }) => ({ $ref: `#/channels/${channel.name}/messages/${name}` })),
    ...(channel.kind === 'request' ? { reply: replyOf(channel.name, channel.reply) } : {}),
  };
}

function replyOf(name: string, reply: NamedSchema): JsonObject {
  return {
    channel: { $ref: `#/channels/${name}Reply` },
    address: { location: '$message.header#/reply-to', description: 'The inbox of the NATS request.' },
    messages: [reply, FAULT].map((message) => ({ $ref: `#/channels/${name}Reply/messages/${message.name}` })),
  };
}
