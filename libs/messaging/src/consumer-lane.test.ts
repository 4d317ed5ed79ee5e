import { describe, expect, it } from '@jest/globals';
import type { JsMsg } from '@nats-io/jetstream';
import { BATCH, BatchRoom, ConsumerLane, fillBatch, type Incoming } from './consumer-lane.ts';

/** The lane never looks into a message. */
const MESSAGE = Object.freeze({}) as JsMsg;

function incoming(number: number | null, bytes = 10, dueAt = 0): Incoming {
  return { number, bytes, message: MESSAGE, receivedAt: 0, dueAt };
}

function laneAt(watermark: number, ...numbers: number[]): ConsumerLane {
  const lane = new ConsumerLane('learning', 'e1', watermark);
  for (const number of numbers) lane.add(incoming(number));
  return lane;
}

function numbers(messages: readonly Incoming[]): (number | null)[] {
  return messages.map(({ number }) => number);
}

describe('order', () => {
  it('sorts a redelivered message before its successors', () => {
    expect(numbers(laneAt(0, 3, 4, 1, 2).waiting)).toEqual([1, 2, 3, 4]);
  });

  it('keeps plain messages as they came, and says where nothing was replaced', () => {
    const [lane, plain] = [laneAt(0, 2), laneAt(0)];
    expect([3, 1].map((number) => lane.add(incoming(number)))).toEqual([undefined, undefined]);
    const both = [incoming(null, 1), incoming(null, 2)];
    expect(both.map((one) => plain.add(one))).toEqual([undefined, undefined]);
    expect(plain.waiting).toEqual(both);
  });

  it('keeps one delivery of each number, the newest', () => {
    const lane = laneAt(0, 1, 2, 3);
    const again = incoming(2);
    expect(lane.add(again)?.number).toBe(2);
    expect(numbers(lane.waiting)).toEqual([1, 2, 3]);
    expect(lane.waiting[1]).toBe(again);
  });
});

describe('the room of a transaction', () => {
  it.each<[string, readonly number[], readonly boolean[], { used: boolean; full: boolean }]>([
    ['nothing', [], [], { used: false, full: false }],
    ['a little', [10], [true], { used: false, full: false }],
    ['one of any size', [BATCH.bytes + 1], [true], { used: true, full: false }],
    ['one too large behind another', [1, BATCH.bytes], [true, false], { used: true, full: true }],
    ['just what fits', [1, BATCH.bytes - 1], [true, true], { used: true, full: false }],
    ['something behind what fits', [BATCH.bytes, 0], [true, true], { used: true, full: false }],
    ['a byte behind what fits', [BATCH.bytes, 1], [true, false], { used: true, full: true }],
    ['one less than so many', Array(63).fill(1), Array(63).fill(true), { used: false, full: false }],
    ['so many', Array(64).fill(1), Array(64).fill(true), { used: true, full: false }],
    ['more', Array(65).fill(1), [...Array<boolean>(64).fill(true), false], { used: true, full: true }],
  ])('is asked for %s', (_what, bytes, taken, { used, full }) => {
    const room = new BatchRoom();
    expect(bytes.map((size) => room.take(size))).toEqual(taken);
    expect({ used: room.isUsedUp, full: room.isFull }).toEqual({ used, full });
  });

  it.each<[string, readonly (readonly number[])[], boolean]>([
    ['none', [], false],
    ['an empty one', [[]], false],
    ['two that leave room', [Array(31).fill(1), Array(32).fill(1)], false],
    ['two with so many together', [Array(31).fill(1), Array(33).fill(1)], true],
    ['two with so much together', [[1], [BATCH.bytes - 1]], true],
    ['two with too much together', [[1], [BATCH.bytes]], true],
  ])('is filled or not by lanes: %s', (_what, sizes, filled) => {
    const lanes = sizes.map((bytes) => {
      const lane = laneAt(0);
      for (const [at, size] of bytes.entries()) lane.add(incoming(at + 1, size));
      return lane;
    });
    expect(fillBatch(lanes)).toBe(filled);
  });
});

describe('readyAt', () => {
  const dueAt = (...times: number[]): ConsumerLane => {
    const lane = laneAt(0);
    for (const [at, due] of times.entries()) lane.add(incoming(at + 1, 10, due));
    return lane;
  };

  it('is never while nothing waits or somebody is at it', () => {
    expect([true, false].map((waits) => laneAt(0).readyAt(waits))).toEqual([Infinity, Infinity]);
    const [held, replayed] = [dueAt(500), laneAt(0)];
    [held.inHand, replayed.inHand, replayed.replaying] = [true, true, true];
    expect([held.readyAt(false), replayed.readyAt(false)]).toEqual([Infinity, Infinity]);
    replayed.inHand = false;
    expect([true, false].map((waits) => replayed.readyAt(waits))).toEqual([0, 0]);
  });

  it('is when the first message has waited for company, unless there is as much as goes together', () => {
    expect([true, false].map((waits) => dueAt(700, 300, 500).readyAt(waits))).toEqual([300, 0]);
    expect(dueAt(...Array<number>(BATCH.messages).fill(500)).readyAt(true)).toBe(0);
  });

  it.each([
    [1, 50, 100],
    [2, 100, 200],
    [3, 200, 400],
    [20, 5_000, 10_000],
  ])('after %i failures is in %i to %i ms', (failures, least, most) => {
    const lane = dueAt(1_001);
    for (let failure = 0; failure < failures; failure += 1) lane.failed(1_000);
    for (const waits of [true, false]) {
      expect(lane.readyAt(waits)).toBeGreaterThanOrEqual(1_000 + least);
      expect(lane.readyAt(waits)).toBeLessThanOrEqual(1_000 + most);
    }
    lane.succeeded(false);
    lane.failed(1_000);
    expect(lane.readyAt(false)).toBeLessThanOrEqual(1_100);
    lane.replaying = true;
    expect(lane.readyAt(true)).toBeGreaterThanOrEqual(1_050);
  });

  it('is not before company is due, though the pause after a failure is over', () => {
    const lane = dueAt(60_000);
    lane.failed(0);
    expect(lane.readyAt(true)).toBe(60_000);
  });
});

describe('a lane comes alone', () => {
  it.each<[string, (lane: ConsumerLane) => void, boolean, number]>([
    ['not at first', () => undefined, false, 0],
    ['while it is replayed', (lane) => (lane.replaying = true), true, 0],
    ['when it is told to', (lane) => lane.separate(), true, 0],
    ['after a failure', (lane) => lane.failed(0), true, 1],
    [
      'until it has succeeded',
      (lane) => {
        lane.failed(0);
        lane.succeeded(false);
      },
      false,
      0,
    ],
    ['after it was slow', (lane) => lane.succeeded(true), true, 0],
  ])('%s', (_when, change, alone, attempts) => {
    const lane = laneAt(0);
    change(lane);
    expect([lane.comesAlone, lane.attempts]).toEqual([alone, attempts]);
  });
});

describe('hasGap', () => {
  it.each<[string, readonly (number | null)[], boolean]>([
    ['nothing', [], false],
    ['a plain message', [null], false],
    ['what comes next', [6, 9], false],
    ['what the watermark covers', [5], false],
    ['what comes later', [7], true],
  ])('where there waits %s first', (_what, waiting, gap) => {
    const lane = laneAt(5);
    for (const number of waiting) lane.add(incoming(number));
    expect(lane.hasGap).toBe(gap);
  });
});

describe('nextRun', () => {
  it('stops before a hole', () => {
    expect(numbers(laneAt(4, 5, 6, 8).nextRun(new BatchRoom()))).toEqual([5, 6]);
    expect(laneAt(4, 6).nextRun(new BatchRoom())).toEqual([]);
  });

  it('takes at most one batch', () => {
    const lane = laneAt(0, ...Array.from({ length: 100 }, (_, n) => n + 1));
    expect(lane.nextRun(new BatchRoom())).toHaveLength(BATCH.messages);
  });

  it('takes one message however large, and stops at the bound of bytes', () => {
    const lane = new ConsumerLane('learning', 'e1', 0);
    for (const number of [1, 2, 3]) lane.add(incoming(number, BATCH.bytes * 0.6));
    expect(numbers(lane.nextRun(new BatchRoom()))).toEqual([1]);
  });

  it('takes plain messages as they came', () => {
    const lane = new ConsumerLane('billing', null, 0);
    lane.add(incoming(null));
    lane.add(incoming(null));
    expect(lane.takeDuplicates()).toEqual([]);
    expect(lane.nextRun(new BatchRoom())).toHaveLength(2);
  });
});

describe('takeDuplicates', () => {
  it('removes what the watermark covers', () => {
    const lane = laneAt(3, 2, 3, 4);
    expect(numbers(lane.takeDuplicates())).toEqual([2, 3]);
    expect(numbers(lane.waiting)).toEqual([4]);
  });

  it('removes all of it', () => {
    expect(numbers(laneAt(3, 1, 2).takeDuplicates())).toEqual([1, 2]);
  });
});

describe('take', () => {
  it('removes the oldest', () => {
    const lane = laneAt(0, 1, 2, 3);
    expect(numbers(lane.take(2))).toEqual([1, 2]);
    expect(numbers(lane.waiting)).toEqual([3]);
  });
});

describe('announce', () => {
  it('asks for a replay at the second head above a watermark that stands still', () => {
    const lane = laneAt(5);
    expect([lane.announce(7), lane.announce(8)]).toEqual([undefined, 'ahead']);
  });

  it('is patient while the watermark moves, while messages wait and after a failure', () => {
    const moving = laneAt(5);
    moving.announce(7);
    moving.watermark = 6;
    expect(moving.announce(7)).toBeUndefined();
    const waiting = laneAt(5, 6);
    waiting.announce(7);
    expect(waiting.announce(7)).toBeUndefined();
    const failing = laneAt(5);
    failing.failed(0);
    failing.announce(7);
    expect(failing.announce(7)).toBeUndefined();
    const replayed = laneAt(5);
    replayed.replaying = true;
    replayed.announce(7);
    expect(replayed.announce(7)).toBeUndefined();
    expect(replayed.head).toBe(7);
  });

  it('is satisfied when the head is reached', () => {
    const lane = laneAt(5);
    expect([lane.announce(5), lane.announce(5), lane.announce(6)]).toEqual([undefined, undefined, undefined]);
  });

  it('notices a producer that went back in time, but not one late announcement', () => {
    const lane = laneAt(5);
    expect([lane.announce(4), lane.announce(5), lane.announce(4), lane.announce(4)]).toEqual([
      undefined,
      undefined,
      undefined,
      'rewound',
    ]);
  });
});

describe('shed', () => {
  it('keeps the oldest', () => {
    const lane = laneAt(0, 1, 2, 3);
    expect(numbers(lane.shed(1))).toEqual([2, 3]);
    expect(numbers(lane.waiting)).toEqual([1]);
  });
});
