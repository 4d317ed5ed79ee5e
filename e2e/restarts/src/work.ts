import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import { encodeStateAsUpdate, encodeStateVector } from 'yjs';
import type { Learner } from './learner.ts';
import type { Traffic } from './traffic.ts';

/** What a learner's devices have written, in order. */
export interface Written {
  readonly statements: LocalMutation[];
  /** The first one makes the note; each says its number. */
  readonly note: LocalMutation[];
  /** By both writing devices. */
  readonly progress: LocalMutation[];
  /** Each adds one word to the document. */
  readonly words: LocalMutation[];
}

const PAUSE_MS = 60;
const WAIT_MS = 5_000;

/**
 * Lets the two writing devices write and push all the time. What a failed push had is pushed again with the
 * next.
 */
export function keepWriting(traffic: Traffic, learner: Learner): Written {
  const written: Written = { statements: [], note: [], progress: [], words: [] };
  traffic.repeat(async () => {
    writeStatement(learner, written);
    writeNote(learner, written);
    writeWord(learner, written);
    writeProgress(learner, learner.writer, written);
    await pushAndAck(traffic, learner.writer);
    await sleep(PAUSE_MS);
  });
  traffic.repeat(async () => {
    writeProgress(learner, learner.rival, written);
    await pushAndAck(traffic, learner.rival);
    await sleep(PAUSE_MS * 5);
  });
  return written;
}

async function pushAndAck(traffic: Traffic, device: DriverDevice): Promise<void> {
  if (await traffic.send('push', () => device.push())) await traffic.send('ack', () => device.ack());
}

/** Pulls and waits for news all the time, and acks what came. */
export function keepReading(traffic: Traffic, device: DriverDevice): void {
  traffic.repeat(async () => {
    const waitMs = device.scopes.size === 0 ? 0 : WAIT_MS;
    const pulled = await traffic.send('pull', () => device.pullOnce({ waitMs }));
    if (pulled) await traffic.send('ack', () => device.ack());
    await sleep(PAUSE_MS);
  });
}

function writeStatement({ writer, scope }: Learner, { statements }: Written): void {
  const entityId = randomUUID();
  const data = {
    id: entityId,
    verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
    object: { objectType: 'Activity', id: 'https://courses.example/c-1/pages/1' },
  };
  statements.push(writer.write({ scope, entityType: 'statement', entityId, op: 'append', data }));
}

function writeNote({ writer, scope, userId, noteId }: Learner, { note }: Written): void {
  const text = String(note.length);
  const change = { scope, entityType: 'note', entityId: noteId };
  note.push(
    writer.write(
      note.length === 0
        ? { ...change, op: 'put', data: { userId, text } }
        : { ...change, op: 'patch', data: { text } },
    ),
  );
}

function writeProgress(
  { scope, userId, progressId }: Learner,
  device: DriverDevice,
  { progress }: Written,
): void {
  const data = { userId, courseId: 'c-1', percent: progress.length % 100, status: 'in_progress' };
  progress.push(device.write({ scope, entityType: 'progress', entityId: progressId, op: 'put', data }));
}

function writeWord({ writer, document }: Learner, { words }: Written): void {
  const { doc, scope, entityId } = document;
  const before = encodeStateVector(doc);
  const body = doc.getText('body');
  body.insert(body.length, ` w${words.length}.`);
  const update = Buffer.from(encodeStateAsUpdate(doc, before)).toString('base64');
  words.push(writer.write({ scope, entityType: 'document', entityId, op: 'merge', update }));
}
