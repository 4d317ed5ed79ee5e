import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Write } from '@sync/client';
import type { LearnerDevice } from '@sync/e2e-device';
import type { Learner } from './learner.ts';
import type { Traffic } from './traffic.ts';

/** What a learner's devices have written, in order. */
export interface Written {
  readonly statements: Write[];
  /** The first one makes the note; each says its number. */
  readonly note: Write[];
  /** By both writing devices. */
  readonly progress: Write[];
  /** How many words were added to the document, each by an increment of its own. */
  words: number;
}

const PAUSE_MS = 60;
const ACCEPTED_MS = 120_000;

/**
 * Lets the two writing devices write all the time. Nobody writes on before the server has what they wrote: a
 * queue that only grows would be waited for at the end.
 */
export function keepWriting(traffic: Traffic, learner: Learner): Written {
  const written: Written = { statements: [], note: [], progress: [], words: 0 };
  const { writer, rival } = learner;
  traffic.repeat(async () => {
    written.statements.push(await writeStatement(writer));
    written.note.push(await writeNote(learner, written.note.length));
    await writeWord(learner, written.words);
    written.words += 1;
    await writeProgress(learner, writer, written);
    await sleep(PAUSE_MS);
  });
  traffic.repeat(async () => {
    await writeProgress(learner, rival, written);
    await sleep(PAUSE_MS * 5);
  });
  return written;
}

export function countOf({ statements, note, progress, words }: Written): number {
  return statements.length + note.length + progress.length + words;
}

function writeStatement({ client }: LearnerDevice): Promise<Write> {
  const id = randomUUID();
  const verb = { id: 'http://adlnet.gov/expapi/verbs/experienced' };
  const object = { objectType: 'Activity', id: 'https://courses.example/c-1/pages/1' };
  return client.entity('statement').append({ id, verb, object }, { id });
}

function writeNote({ writer, userId, noteId }: Learner, number: number): Promise<Write> {
  const notes = writer.client.entity('note');
  const text = String(number);
  return number === 0 ? notes.put(noteId, { userId, text }) : notes.patch(noteId, { text });
}

async function writeProgress(
  { userId, progressId }: Learner,
  { client }: LearnerDevice,
  { progress }: Written,
): Promise<void> {
  const data = { userId, courseId: 'c-1', percent: progress.length % 100, status: 'in_progress' };
  const write = await client.entity('progress').put(progressId, data);
  progress.push(write);
  await write.wait('accepted', { signal: AbortSignal.timeout(ACCEPTED_MS) });
}

async function writeWord({ document }: Learner, number: number): Promise<void> {
  const body = document.writer.doc.getText('body');
  body.insert(body.length, ` w${number}.`);
  await document.writer.flush();
}
