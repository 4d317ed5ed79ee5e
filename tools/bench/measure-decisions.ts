/** decide-1000: a thousand conflicts decided by the resolver, as the gateway asks for them. */
import { randomUUID } from 'node:crypto';
import type { DecisionInput } from '@sync/domain';
import { type NatsConnection, connect } from '@nats-io/transport-node';
import { type DecideReply, LIMITS, subjects } from '@sync/protocol';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import { TENANT, type World, natsUrl } from './world.ts';

const CONFLICTS = 1_000;
const TIMEOUT_MS = 10_000;

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

/** Asks all at once, as the gateway's replicas would; a request carries at most as many as a push. */
export async function measureDecisions(world: World): Promise<OperationResult> {
  const nats = await connect({ servers: natsUrl(world.stack) });
  try {
    const items = Array.from({ length: CONFLICTS }, (_unused, place) => conflict(place));
    const questions: Uint8Array[] = [];
    for (let from = 0; from < CONFLICTS; from += LIMITS.mutationsPerPush) {
      const part = items.slice(from, from + LIMITS.mutationsPerPush);
      questions.push(Buffer.from(JSON.stringify({ tenantId: TENANT, items: part })));
    }
    const replyBytes = await checkedReplyBytes(nats, questions);
    const ask = (subjectOf: (place: number) => string) => async (): Promise<void> => {
      await Promise.all(
        questions.map((question, place) => nats.request(subjectOf(place), question, { timeout: TIMEOUT_MS })),
      );
    };
    const floor = await runLoad(
      1,
      world.sizes.decisions,
      ask((place) => `bench.floor.${replyBytes[place] ?? 0}`),
    );
    const samples = await runLoad(
      1,
      world.sizes.decisions,
      ask(() => subjects.decide),
    );
    return result('decide-1000', 1, samples, floor, {
      requestKib: questions.reduce((sum, { length }) => sum + length, 0) / 1024,
      replyKib: replyBytes.reduce((sum, bytes) => sum + bytes, 0) / 1024,
    });
  } finally {
    await nats.close();
  }
}

/** @throws when anything but a conflict comes back: then something cheaper would be measured */
async function checkedReplyBytes(nats: NatsConnection, questions: readonly Uint8Array[]): Promise<number[]> {
  return Promise.all(
    questions.map(async (question) => {
      const reply = await nats.request(subjects.decide, question, { timeout: TIMEOUT_MS });
      const { decisions } = reply.json<DecideReply>();
      const recorded = decisions.filter((decision) => 'record' in decision && decision.record !== null);
      if (recorded.length !== LIMITS.mutationsPerPush)
        throw new Error(`${recorded.length} of ${LIMITS.mutationsPerPush} questions were conflicts`);
      return reply.data.length;
    }),
  );
}
