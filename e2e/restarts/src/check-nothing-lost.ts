import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { type LearnerDevice, type StackLine, checkRevisions, until } from '@sync/e2e-device';
import type { Outcome } from '@sync/protocol';
import { FIRST_WORDS, type Learner } from './learner.ts';
import type { Written } from './work.ts';

const STATUSES = new Set(['applied', 'merged', 'superseded']);
const SETTLE = { limitMs: 120_000, pauseMs: 200, bearErrors: true };

/**
 * Nothing that was written is lost or doubled, once everything is at rest.
 *
 * 1. Nothing is left in an outbox, and all devices have what the server has.
 * 2. Every write that the app was told to be stored was sent, has one terminal outcome and was not refused.
 * 3. The reader shows it: each statement came once, the note has its last text and the document each word
 *    once.
 * 4. The owner applied each mutation exactly once: its revisions count them.
 * 5. What lost is in a ConflictRecord that the reader has.
 *
 * @returns how many ConflictRecords there are
 * @throws AssertionError
 */
export async function checkNothingLost(
  learner: Learner,
  written: Written,
  stack: StackLine,
  tenantId: string,
): Promise<number> {
  const { writer, rival, reader } = learner;
  await until(
    'nothing waits, and all devices have what the server has',
    async () => {
      const states = await Promise.all([writer, rival, reader].map((device) => device.settledState()));
      return states[0] !== null && new Set(states).size === 1;
    },
    SETTLE,
  );
  const outcomes = new Map([...(await outcomesOf(writer)), ...(await outcomesOf(rival))]);
  for (const { mutationId } of [written.statements, written.note, written.progress].flat()) {
    ok(outcomes.has(mutationId), `${mutationId} was stored and never sent`);
  }
  const refused = [...outcomes.values()].filter(({ status }) => !STATUSES.has(status));
  deepStrictEqual(refused, [], 'no mutation is refused');
  await checkReader(learner, written);
  const records = [...outcomes.values()].flatMap(({ conflictId }) => conflictId ?? []);
  await until(
    'the reader has every ConflictRecord',
    async () => {
      const held = new Set((await reader.client.conflicts()).map(({ conflictId }) => conflictId));
      return records.every((conflictId) => held.has(conflictId));
    },
    SETTLE,
  );
  const took = written.progress.filter(({ mutationId }) =>
    ['applied', 'merged'].includes(outcomes.get(mutationId)?.status ?? ''),
  );
  const expected = new Map(written.statements.map(({ entityId }) => [entityId, 1]));
  expected.set(learner.noteId, written.note.length);
  expected.set(learner.progressId, took.length);
  await checkRevisions(stack, tenantId, expected);
  return records.length;
}

/** By mutation, for all that the device has sent. */
async function outcomesOf(device: LearnerDevice): Promise<Map<string, Outcome>> {
  const outcomes = await device.sendAllAgain();
  return new Map(outcomes.map((outcome) => [outcome.mutationId, outcome]));
}

async function checkReader(
  { reader: { client }, pulledStatements, noteId, document }: Learner,
  { statements, note, words }: Written,
): Promise<void> {
  const ids = statements.map(({ entityId }) => entityId).sort();
  deepStrictEqual([...pulledStatements].sort(), ids, 'each statement came once');
  const shown = (await client.entity('statement').load()).list().map(({ id }) => id);
  deepStrictEqual(shown.sort(), ids, 'each statement is shown');
  const { text } = ((await client.entity('note').load()).get(noteId)?.data ?? {}) as { text?: string };
  strictEqual(text, String(note.length - 1));
  const body = [FIRST_WORDS, ...Array.from({ length: words }, (_each, at) => `w${at}.`)].join(' ');
  strictEqual(document.reader.doc.getText('body').toJSON(), body, 'each word stands once');
}
