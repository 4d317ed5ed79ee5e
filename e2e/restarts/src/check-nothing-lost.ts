import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { checkRevisions, type DriverDevice, type StackLine, until } from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';
import { applyUpdate, Doc } from 'yjs';
import { FIRST_WORDS, type Learner } from './learner.ts';
import type { Written } from './work.ts';

const STATUSES = new Set(['applied', 'merged', 'superseded']);
const SETTLE = { limitMs: 120_000, pauseMs: 200, bearErrors: true };

/**
 * Nothing that was written is lost or doubled, once everything is at rest.
 *
 * 1. Every mutation has one terminal outcome and none was refused.
 * 2. The reader holds what the server holds: every change that stood, and equal digests; each statement came
 *    once, the note has its last text and the document each word once.
 * 3. The owner applied each mutation exactly once: its revisions count them.
 * 4. What lost is in a ConflictRecord that the reader has.
 *
 * @throws AssertionError
 */
export async function checkNothingLost(
  learner: Learner,
  written: Written,
  stack: StackLine,
  tenantId: string,
): Promise<void> {
  const { writer, rival, reader, scope } = learner;
  const all = Object.values(written).flat() as LocalMutation[];
  const outcomeOf = ({ mutationId }: LocalMutation): Outcome | undefined =>
    writer.outcomes.get(mutationId) ?? rival.outcomes.get(mutationId);
  await until(
    'every mutation has its outcome',
    async () => {
      for (const device of [writer, rival]) {
        await device.push();
        await device.sync();
      }
      return all.every((mutation) => (outcomeOf(mutation)?.status ?? 'accepted') !== 'accepted');
    },
    SETTLE,
  );
  const refused = all.map(outcomeOf).filter((outcome) => !STATUSES.has(outcome?.status ?? ''));
  deepStrictEqual(refused, [], 'no mutation is refused');
  const records = all.flatMap((mutation) => outcomeOf(mutation)?.conflictId ?? []);
  await until(
    'the reader has everything',
    async () => {
      await reader.sync();
      const held = reader.replica(scope).entities;
      return (
        all.every((mutation) => reader.replica(mutation.scope).shows(mutation, outcomeOf(mutation))) &&
        [scope, learner.document.scope].every((one) => agrees(reader, one)) &&
        records.every((conflictId) => held.has(`conflict/${conflictId}`))
      );
    },
    SETTLE,
  );
  checkReader(learner, written);
  const took = written.progress.filter((mutation) =>
    ['applied', 'merged'].includes(outcomeOf(mutation)?.status ?? ''),
  );
  const expected = new Map(written.statements.map(({ entityId }) => [entityId, 1]));
  expected.set(learner.noteId, written.note.length);
  expected.set(learner.progressId, took.length);
  await checkRevisions(stack, tenantId, expected);
}

function agrees(device: DriverDevice, scope: string): boolean {
  const { serverDigest, digest } = device.replica(scope);
  return serverDigest?.hash === digest.hash && serverDigest.count === digest.count;
}

function checkReader(
  { reader, scope, noteId, document }: Learner,
  { statements, note, words }: Written,
): void {
  const replica = reader.replica(scope);
  const arrived = replica.log.filter(({ entityType }) => entityType === 'statement');
  deepStrictEqual(
    arrived.map(({ entityId }) => entityId).sort(),
    statements.map(({ entityId }) => entityId).sort(),
    'each statement came once',
  );
  strictEqual(replica.entities.get(`note/${noteId}`)?.data?.['text'], String(note.length - 1));
  const doc = new Doc();
  const { update } = reader.replica(document.scope).entities.get(`document/${document.entityId}`) ?? {};
  ok(update, 'the reader has the document');
  applyUpdate(doc, Buffer.from(update, 'base64'));
  const text = [FIRST_WORDS, ...words.map((_each, at) => `w${at}.`)].join(' ');
  strictEqual(doc.getText('body').toJSON(), text, 'each word stands once');
}
