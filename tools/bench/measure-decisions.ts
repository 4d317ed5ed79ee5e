/** decide-1000: a thousand conflicts decided. */
import { randomUUID } from 'node:crypto';
import { decide, type DecisionInput } from '@sync/domain';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import type { World } from './world.ts';

const CONFLICTS = 1_000;

/**
 * Same-field collisions of notes, every second one under review, between a device that was offline and the
 * server's later state.
 */
function conflict(place: number): DecisionInput {
  const userId = `user-${place}`;
  const [atMs, serverNowMs] = [1_700_000_000_000, 1_700_000_060_000];
  const write = { atMs: atMs + 1_000, by: 'd:other', counter: 2 };
  const data = {
    userId,
    text: 'what the server has '.repeat(10),
    colour: 'white',
    courseId: `course-${place}`,
  };
  return {
    mutation: {
      mutationId: randomUUID(),
      deviceId: `device-${place}`,
      entityType: 'note',
      entityId: `note-${place}`,
      op: 'patch',
      data: { text: 'what the person wrote on the train '.repeat(6), colour: 'blue' },
      update: null,
      baseClock: { 'd:other': 1, 's:learning': 1 },
      occurredAtMs: atMs + (place % 3) * 1_000,
      schemaVersion: 1,
    },
    current: {
      revision: 3,
      clock: { 'd:other': 2, 's:learning': 1 },
      data,
      deleted: false,
      deletedData: null,
      fieldWrites: { '': write, userId: write, text: write, colour: write, courseId: write },
    },
    policy: 'lww',
    review: place % 2 === 0 ? 'collisions' : 'none',
    serverNowMs,
  };
}

/**
 * Decides all, one after the other, as the gateway does; the floor writes the decisions, as its ledger needs
 * them. All of it in this process, so that no process of the platform uses CPU.
 */
export async function measureDecisions({ sizes }: World): Promise<OperationResult> {
  const conflicts = Array.from({ length: CONFLICTS }, (_unused, place) => conflict(place));
  const decisions = conflicts.map(decide);
  const recorded = decisions.filter((decision) => decision.record !== null).length;
  // Anything else would be cheaper.
  if (recorded !== CONFLICTS) throw new Error(`${recorded} of ${CONFLICTS} questions were conflicts`);
  const load = { clients: 1, total: sizes.decisions };
  let bytes = 0;
  const floor = await runLoad(load, async () => {
    bytes = decisions.reduce((sum, decision) => sum + JSON.stringify(decision).length, 0);
  });
  const samples = await runLoad(load, async () => void conflicts.map(decide));
  return result('decide-1000', 1, samples, floor, { decisionsKib: bytes / 1024 });
}
