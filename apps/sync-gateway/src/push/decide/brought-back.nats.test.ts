import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Responder } from '@sync/messaging';
import {
  type DeletedDataReply,
  type DeletedDataRequest,
  type LocalMutation,
  type Outcome,
  subjects,
} from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../testing/push-rig.ts';

/**
 * Edits later than a deletion that they had not seen: the entity comes back, whatever arrives first and
 * however late the projection is.
 */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.projectsAtOnce = true;
  rig.owner.requests.length = 0;
});

const WHOLE = { percent: 80, lastPage: 40, score: 'before the deletion' };
const SEEN = { 's:learning': 1 };
/** Between two changes; a device's time is corrected by what its push takes. */
const APART_MS = 20;

/** An entity of the server, and the devices of one user that have pulled it. */
class Shared {
  readonly authors: Readonly<Record<'A' | 'B' | 'C', Author>>;
  readonly entityId: string;
  readonly others: readonly string[];
  #sinceMs = 0;

  private constructor(author: Author) {
    const deviceOf = (name: string): Author => ({ ...author, deviceId: `${author.deviceId}-${name}` });
    this.authors = { A: deviceOf('a'), B: deviceOf('b'), C: deviceOf('c') };
    this.entityId = `p-${author.deviceId}`;
    this.others = [1, 2, 3].map((place) => `${this.entityId}-${place}`);
  }

  static async open(): Promise<Shared> {
    const shared = new Shared(newAuthor());
    const { tenantId, userId } = shared.authors.A;
    for (const entityId of [shared.entityId, ...shared.others])
      await rig.owner.change(tenantId, 'progress', entityId, { userId, ...WHOLE });
    shared.#sinceMs = Date.now();
    // Nothing is later than the present.
    await sleep(12 * APART_MS);
    return shared;
  }

  own(by: 'A' | 'B' | 'C', count: number): Record<string, number> {
    return { [`d:${this.authors[by].deviceId}`]: count };
  }

  change(
    by: 'A' | 'B' | 'C',
    op: LocalMutation['op'],
    place: number,
    data?: Record<string, unknown>,
  ): LocalMutation {
    const userId = this.authors.A.userId;
    const whole = op === 'put' ? { userId, ...data } : data;
    return mutationOf(this.authors[by], {
      ...{
        entityId: this.entityId,
        op,
        occurredAt: new Date(this.#sinceMs + place * APART_MS).toISOString(),
        scope: `user:${userId}`,
      },
      ...(whole ? { data: whole } : { data: null }),
      baseClock: op === 'put' ? { ...SEEN, ...this.own(by, 1) } : SEEN,
    });
  }

  now(): { readonly data: unknown; readonly clock: unknown } {
    const { data, clock } = rig.owner.entity(this.authors.A.tenantId, 'progress', this.entityId) ?? {};
    if (!data) return { data, clock };
    const { userId: _userId, ...rest } = data;
    const names = Object.entries(this.authors).map(
      ([name, { deviceId }]) => [`d:${deviceId}`, name] as const,
    );
    const nameOf = new Map<string, string>(names);
    const counters = Object.entries(clock ?? {}).map(([replica, counter]) => [nameOf.get(replica), counter]);
    return { data: rest, clock: Object.fromEntries(counters) as unknown };
  }

  /** Works on everything that is open until it has ended, in this order of devices. */
  async end(order: readonly ('A' | 'B' | 'C')[]): Promise<void> {
    for (const by of [...order, ...order]) {
      await rig.owner.projectAll();
      await rig.dispatch(this.authors[by]);
    }
    await rig.owner.projectAll();
  }
}

type Step = readonly ['A' | 'B' | 'C', LocalMutation['op'], number, Record<string, unknown>?];
const DELETION: Step = ['A', 'delete', 1];
const ANEW: Step = ['A', 'put', 2, { percent: 0 }];

/** All orders in which the changes of one device stay in theirs. */
function ordersOf(steps: readonly Step[]): Step[][] {
  if (steps.length === 0) return [[]];
  return steps.flatMap((first, place) => {
    if (steps.slice(0, place).some(([by]) => by === first[0])) return [];
    return ordersOf(steps.filter((step) => step !== first)).map((rest) => [first, ...rest]);
  });
}

describe.each<[string, Step[], Record<string, unknown>]>([
  ['an edit', [DELETION, ['B', 'patch', 10, { lastPage: 41 }]], { ...WHOLE, lastPage: 41 }],
  [
    'two edits',
    [DELETION, ['B', 'patch', 10, { lastPage: 41, x: 1 }], ['C', 'patch', 11, { x: 2 }]],
    { ...WHOLE, lastPage: 41, x: 2 },
  ],
  [
    'two edits of what is made anew',
    [DELETION, ANEW, ['B', 'patch', 10, { lastPage: 41 }], ['C', 'patch', 11, { lastPage: 42, x: 2 }]],
    { percent: 0, lastPage: 42, x: 2 },
  ],
])('%s', (_what, steps, end) => {
  const orders = ordersOf(steps).map((order) => ({
    order,
    told: order.map(([by, op]) => `${by} ${op}`).join(', '),
  }));

  it.each(orders)('ends the same: $told', async ({ order }) => {
    const clocks: unknown[] = [];
    for (const isPrompt of [true, false]) {
      const shared = await Shared.open();
      rig.owner.projectsAtOnce = isPrompt;
      const written = new Map(steps.map((step) => [step, shared.change(...step)]));
      for (const step of order) await rig.push(shared.authors[step[0]], [written.get(step) as LocalMutation]);
      await shared.end(order.map(([by]) => by));
      const { data, clock } = shared.now();
      expect(data).toEqual(end);
      clocks.push(clock);
    }
    expect(clocks[1]).toEqual(clocks[0]);
  });
});

describe('an edit that brings back what was deleted', () => {
  async function deleted(): Promise<Shared> {
    const shared = await Shared.open();
    await rig.push(shared.authors.A, [shared.change('A', 'delete', 1)]);
    return shared;
  }

  it('is merged, with the whole entity, and what follows it in its push knows who wrote what', async () => {
    const shared = await deleted();
    const { B, C } = shared.authors;
    const first = shared.change('B', 'patch', 10, { lastPage: 41 });
    const second = {
      ...shared.change('B', 'patch', 11, { x: 1 }),
      baseClock: { ...SEEN, ...shared.own('B', 1) },
    };
    const outcomes = await rig.push(B, [first, second]);
    expect(outcomes).toMatchObject([
      { status: 'merged', current: { op: 'put', data: { ...WHOLE, lastPage: 41 } } },
      { status: 'merged', current: { op: 'put', data: { ...WHOLE, lastPage: 41, x: 1 } } },
    ]);
    // Between the deletion and the edit that made it void: of what B did not write, C's is the later one.
    const [outcome] = await rig.push(C, [shared.change('C', 'patch', 5, { score: 97, lastPage: 0 })]);
    expect(outcome).toMatchObject({
      status: 'merged',
      current: { data: { ...WHOLE, lastPage: 41, x: 1, score: 97 } },
    });
  });

  it.each(['in one push', 'in two'])(
    'and a put behind it, %s, take away only what their device had seen',
    async (how) => {
      const shared = await Shared.open();
      const { A, B, C } = shared.authors;
      await rig.push(C, [shared.change('C', 'patch', 1, { x: 1 })]);
      await rig.push(A, [
        { ...shared.change('A', 'delete', 2), baseClock: { ...SEEN, ...shared.own('C', 1) } },
      ]);
      const edit = shared.change('B', 'patch', 10, { lastPage: 41 });
      const put = shared.change('B', 'put', 11, { percent: 81 });
      for (const mutations of how === 'in one push' ? [[edit, put]] : [[edit], [put]])
        await rig.push(B, mutations);
      expect(shared.now().data).toEqual({ percent: 81, x: 1 });
    },
  );

  it('shows nothing of what stays deleted, in outcome and record', async () => {
    const shared = await deleted();
    const [outcome] = await rig.push(shared.authors.B, [shared.change('B', 'patch', 0.5, { lastPage: 41 })]);
    expect(outcome).toMatchObject({ status: 'superseded', current: { op: 'delete', data: null } });
    const events = (await rig.syncEvents()).filter(({ data }) =>
      JSON.stringify(data).includes(shared.entityId),
    );
    expect(JSON.stringify([outcome, events])).toContain('41');
    expect(JSON.stringify([outcome, events])).not.toContain('before the deletion');
  });

  describe('while the projector', () => {
    /** Answers in the place of the rig's own one. */
    async function answering(answer: (asked: DeletedDataRequest) => DeletedDataReply): Promise<Responder> {
      await rig.stopProjector();
      const responder = new Responder({
        nats: rig.nats,
        subject: subjects.deletedData,
        queue: 'projector',
        handle: async (body) => answer(body as DeletedDataRequest),
        logger: silent,
      });
      await rig.nats.flush();
      return responder;
    }

    const late = async (shared: Shared): Promise<Outcome | undefined> =>
      (await rig.push(shared.authors.B, [shared.change('B', 'patch', 10, { lastPage: 41 })]))[0];

    it('is ahead of the read model, waits for that one', async () => {
      const shared = await deleted();
      let ahead = 1;
      const projector = await answering((asked) => ({
        entities: rig.owner.deletedData(asked).entities.map(({ revision, data }) => ({
          revision: (revision ?? 0) + ahead,
          data,
        })),
      }));
      expect(await late(shared)).toMatchObject({ status: 'accepted' });
      ahead = 0;
      await shared.end(['B']);
      expect(shared.now()).toMatchObject({ data: { ...WHOLE, lastPage: 41 } });
      await projector.stop();
    });

    it('answers of fewer entities than were asked for, asks on', async () => {
      const shared = await deleted();
      const { A, B } = shared.authors;
      for (const entityId of shared.others)
        await rig.push(A, [{ ...shared.change('A', 'delete', 1), entityId }]);
      const asked: number[] = [];
      const projector = await answering((question) => {
        asked.push(question.entities.length);
        return { entities: rig.owner.deletedData(question).entities.slice(0, 1) };
      });
      const edits = shared.others.map((entityId) => ({
        ...shared.change('B', 'patch', 10, { lastPage: 41 }),
        entityId,
      }));
      const merged = { status: 'merged', current: { data: { ...WHOLE, lastPage: 41 } } };
      expect(await rig.push(B, edits)).toMatchObject([merged, merged, merged]);
      expect(asked).toEqual([3, 2, 1]);
      await projector.stop();
    });

    it('does not know it any more, is superseded', async () => {
      const shared = await deleted();
      const projector = await answering(({ entities }) => ({
        entities: entities.map(() => ({ revision: null, data: null })),
      }));
      expect(await late(shared)).toMatchObject({ status: 'superseded' });
      await projector.stop();
    });

    it('is away, waits for it', async () => {
      const shared = await deleted();
      await rig.stopProjector();
      expect(await late(shared)).toMatchObject({ status: 'accepted' });
      const projector = await answering((asked) => rig.owner.deletedData(asked));
      await shared.end(['B']);
      expect(shared.now()).toMatchObject({ data: { ...WHOLE, lastPage: 41 } });
      await projector.stop();
    });
  });
});
