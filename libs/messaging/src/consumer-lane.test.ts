import { describe, expect, it } from '@jest/globals';
import type { JsMsg } from '@nats-io/jetstream';
import { BATCH, BatchRoom, ConsumerLane, type Incoming } from './consumer-lane.ts';

/** The lane never looks into a message. */
const MESSAGE = Object.freeze({}) as JsMsg;

function incoming(number: number | null, bytes = 10): Incoming {
  return { number, bytes, message: MESSAGE, receivedAt: 0, dueAt: 0 };
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

  it('keeps one delivery of each number, the newest', () => {
    const lane = laneAt(0, 1, 2, 3);
    const again = incoming(2);
    expect(lane.add(again)?.number).toBe(2);
    expect(numbers(lane.waiting)).toEqual([1, 2, 3]);
    expect(lane.waiting[1]).toBe(again);
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
