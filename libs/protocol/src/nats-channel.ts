/** The kinds of NATS channels, and builders for their declarations. */
import Type, { type TSchema } from 'typebox';
import { type Party } from './parties.ts';

/** What every channel says of itself. */
export interface ChannelBase {
  /** Key in the document. */
  readonly name: string;
  /** The subject with its variable tokens in braces. */
  readonly address: string;
  readonly summary: string;
  /**
   * `public`: frozen, any owning service may rely on it. `internal`: between our apps, versioned with the
   * code.
   */
  readonly audience: 'public' | 'internal';
  /** Who may send it; nobody in production where it is empty. */
  readonly senders: readonly Party[];
  /** Who answers it, or listens. */
  readonly receivers: readonly Party[];
}

/** A JetStream message, numbered by its producer's relay. */
export interface StreamChannel extends ChannelBase {
  readonly kind: 'stream';
  readonly messages: readonly NamedSchema[];
}

/** A core NATS message to whoever listens; losing one costs time, never data. */
export interface NoticeChannel extends ChannelBase {
  readonly kind: 'notice';
  readonly messages: readonly NamedSchema[];
}

/** A core NATS request with one reply. */
export interface RequestChannel extends ChannelBase {
  readonly kind: 'request';
  readonly request: NamedSchema;
  readonly reply: NamedSchema;
}

export type NatsChannel = StreamChannel | NoticeChannel | RequestChannel;

export interface NamedSchema {
  readonly name: string;
  readonly schema: TSchema;
}

/** A message with its name in the documents. */
export const named = (name: string, schema: TSchema): NamedSchema => ({ name, schema });

/** One outbox row is one message and carries a batch. */
export const batchOf = (name: string, item: TSchema): NamedSchema =>
  named(name, Type.Array(item, { minItems: 1 }));

/** A request with one reply; the names of both messages come from the channel's. */
export function request(
  name: string,
  address: string,
  audience: ChannelBase['audience'],
  requestSchema: TSchema,
  replySchema: TSchema,
  about: Pick<ChannelBase, 'summary' | 'senders' | 'receivers'>,
): RequestChannel {
  const title = name.slice(0, 1).toUpperCase() + name.slice(1);
  return {
    kind: 'request',
    name,
    address,
    ...about,
    audience,
    request: named(`${title}Question`, requestSchema),
    reply: named(`${title}Answer`, replySchema),
  };
}

/** A notice between our own apps. */
export function notice(
  name: string,
  parties: Pick<ChannelBase, 'senders' | 'receivers'>,
  address: string,
  summary: string,
  schema: TSchema,
): NoticeChannel {
  const title = name.slice(0, 1).toUpperCase() + name.slice(1);
  return {
    kind: 'notice',
    name,
    address,
    summary,
    ...parties,
    audience: 'internal',
    messages: [named(`${title}Notice`, schema)],
  };
}
