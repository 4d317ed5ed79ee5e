import { headers, type MsgHdrs } from '@nats-io/transport-node';
import type { StreamDeclaration } from '@sync/protocol';
import { remoteErrorOf } from './request-reply.ts';

/** Coordinates of one numbered message. `epoch` compares by equality only. */
export interface MessageNumber {
  readonly producer: string;
  readonly epoch: string;
  /** Contiguous from 1 per (producer, stream, epoch, partition). */
  readonly number: number;
}

/** Answer of `sync.replay.v1.<producer>` without its messages. */
export interface ReplayHead {
  readonly epoch: string;
  /** The oldest number still kept; `last + 1` when none is. */
  readonly first: number;
  /** The last number given in this epoch. */
  readonly last: number;
  /** Rows after the asked-for number are past retention. */
  readonly pruned: boolean;
}

export interface ReplayPage extends ReplayHead {
  readonly messages: readonly { readonly number: number; readonly payload: string }[];
}

export interface ReplayRequest {
  readonly stream: string;
  readonly partition: number;
  readonly epoch: string;
  readonly after: number;
}

const PRODUCER = 'sync-producer';
const EPOCH = 'sync-epoch';
const NUMBER = 'sync-number';
const NEWLINE = 10;

/** `<prefix>.<partition>.<producer>`, for any declared stream. */
export function messageSubject(stream: StreamDeclaration, partition: number, producer: string): string {
  return `${stream.subjectPrefix}.${partition}.${producer}`;
}

/** A producer is one token of a subject. @throws RangeError */
export function assertProducer(producer: string): void {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(producer)) {
    throw new RangeError(`Producer ${JSON.stringify(producer)} must match [A-Za-z0-9_-]{1,64}`);
  }
}

export function encodeNumber({ producer, epoch, number }: MessageNumber): MsgHdrs {
  const encoded = headers();
  encoded.set(PRODUCER, producer);
  encoded.set(EPOCH, epoch);
  encoded.set(NUMBER, String(number));
  return encoded;
}

/** Id for JetStream's duplicate window: an optimisation, the watermark decides. */
export function messageId(
  stream: string,
  partition: number,
  { producer, epoch, number }: MessageNumber,
): string {
  return `${producer}:${stream}:${epoch}:${partition}:${number}`;
}

/**
 * Reads the number of a message, or `undefined` for a plain one. A number counts only if its producer is also
 * the subject's: permissions are given by subject, so nobody can move another producer's watermark.
 */
export function decodeNumber(subject: string, encoded: MsgHdrs | undefined): MessageNumber | undefined {
  const producer = encoded?.get(PRODUCER) ?? '';
  const epoch = encoded?.get(EPOCH) ?? '';
  const digits = encoded?.get(NUMBER) ?? '';
  if (producer === '' || epoch === '' || epoch.length > 64 || !/^[1-9][0-9]{0,15}$/.test(digits))
    return undefined;
  const number = Number(digits);
  if (!Number.isSafeInteger(number) || !subject.endsWith(`.${producer}`)) return undefined;
  return { producer, epoch, number };
}

/**
 * A replay page on the wire: one line of JSON (the head and the numbers with their sizes), then the payloads
 * one after the other. Payloads are JSON text themselves; as strings inside JSON their quotes would be
 * escaped, and a message just below NATS's limit could never be replayed.
 */
export function encodeReplayPage(page: ReplayPage): Uint8Array {
  const bodies = page.messages.map((message) => Buffer.from(message.payload));
  const { epoch, first, last, pruned } = page;
  const messages = page.messages.map(({ number }, at) => ({ number, bytes: bodies[at]?.length ?? 0 }));
  const head = Buffer.from(`${JSON.stringify({ epoch, first, last, pruned, messages })}\n`);
  return Buffer.concat([head, ...bodies]);
}

/**
 * @throws RemoteError when the producer answered with an error, which is one line without an end
 * @throws SyntaxError when the bytes are no replay page
 */
export function decodeReplayPage(bytes: Uint8Array): ReplayPage {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf(NEWLINE);
  const head: unknown = JSON.parse(buffer.toString('utf8', 0, end < 0 ? buffer.length : end));
  const failure = remoteErrorOf(head);
  if (failure) throw failure;
  if (!isReplayHead(head)) throw new SyntaxError('Not a replay page');
  let at = end + 1;
  const messages = head.messages.map(({ number, bytes: size }) => {
    const payload = buffer.toString('utf8', at, at + size);
    at += size;
    return { number, payload };
  });
  if (at !== buffer.length) throw new SyntaxError('Replay page has another length than its head says');
  return { epoch: head.epoch, first: head.first, last: head.last, pruned: head.pruned, messages };
}

function isReplayHead(value: unknown): value is ReplayHead & {
  readonly messages: readonly { readonly number: number; readonly bytes: number }[];
} {
  if (typeof value !== 'object' || value === null) return false;
  const { epoch, first, last, pruned, messages } = value as Record<string, unknown> & {
    [key in keyof ReplayPage]?: unknown;
  };
  return (
    typeof epoch === 'string' &&
    Number.isSafeInteger(first) &&
    Number.isSafeInteger(last) &&
    typeof pruned === 'boolean' &&
    Array.isArray(messages) &&
    messages.every((item: { number?: unknown; bytes?: unknown } | null) =>
      [item?.number, item?.bytes].every((part) => Number.isSafeInteger(part) && Number(part) >= 0),
    )
  );
}
