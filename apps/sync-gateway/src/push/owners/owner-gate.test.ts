import { OwnerGate } from './owner-gate.ts';

const SOON_MS = 20;
const entered = async (gate: OwnerGate, times: number, untilMs = 0): Promise<number> => {
  const turns = await Promise.all(Array.from({ length: times }, () => gate.enter(untilMs)));
  return turns.filter(Boolean).length;
};

describe('OwnerGate', () => {
  it('lets in as many as the pace allows, and the next when one leaves', async () => {
    const gate = new OwnerGate();
    expect(await entered(gate, 40)).toBe(32);
    const waiting = [gate.enter(Date.now() + 60_000), gate.enter(Date.now() + SOON_MS)];
    gate.leave(1, 'none', false);
    expect(await Promise.all(waiting)).toEqual([true, false]);
    expect(await entered(gate, 1)).toBe(0);
  });

  it('lets nobody in while the owner has more in hand than it may have now', async () => {
    const gate = new OwnerGate();
    await entered(gate, 32);
    gate.leave(1, 'late', false);
    expect([gate.limit, await entered(gate, 1)]).toEqual([16, 0]);
    for (let left = 0; left < 15; left += 1) gate.leave(1, 'none', false);
    expect(await entered(gate, 1)).toBe(0);
    gate.leave(1, 'none', false);
    expect(await entered(gate, 2)).toBe(1);
  });

  it('is stuck while all that may be in hand is late', async () => {
    const gate = new OwnerGate();
    await entered(gate, 5);
    const allSeen = Infinity;
    for (let slow = 0; slow < 4; slow += 1) gate.late(allSeen);
    expect([gate.limit, gate.isStuck]).toEqual([2, true]);
    for (let answered = 0; answered < 3; answered += 1) gate.leave(0, 'late', true);
    expect([gate.limit, gate.isStuck]).toEqual([2, false]);
  });
});
