import { describe, expect, it } from '@jest/globals';
import { Metrics } from '@sync/service-kit';
import { PushGate } from './push-gate.ts';
import { PushMetrics } from './push-metrics.ts';

const gateOf = (inFlight: number, waitMs: number): PushGate =>
  new PushGate({ inFlight, waitingPerDevice: 1, waitMs }, new PushMetrics(new Metrics('test')));
const device = (deviceId: string): { tenantId: string; userId: string; deviceId: string } => ({
  tenantId: 't',
  userId: 'u',
  deviceId,
});

const atOnce = (wait: () => Promise<void>): Promise<void> => wait();

/** Work that goes on until it is told to end. */
function endless(): { readonly work: () => Promise<string>; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { work: () => promise, end: () => resolve('done') };
}

describe('PushGate', () => {
  it('runs one push of a device after the other', async () => {
    const gate = gateOf(10, 60_000);
    const order: string[] = [];
    const first = endless();
    const running = gate.run(device('d'), atOnce, first.work).then(() => order.push('first'));
    const second = gate.run(device('d'), atOnce, async () => order.push('second'));
    first.end();
    await Promise.all([running, second]);
    expect(order).toEqual(['first', 'second']);
  });

  it('refuses more than may wait, and one that waits too long', async () => {
    const gate = gateOf(10, 5);
    const first = endless();
    const running = gate.run(device('d'), atOnce, first.work);
    const second = gate.run(device('d'), atOnce, async () => 'never');
    await expect(gate.run(device('d'), atOnce, async () => 'never')).rejects.toMatchObject({
      code: 'rate_limited',
    });
    await expect(second).rejects.toMatchObject({ code: 'rate_limited' });
    first.end();
    await running;
    expect(await gate.run(device('d'), atOnce, async () => 'free')).toBe('free');
  });

  it('refuses more devices at once than it may work on, and frees the place also after a failure', async () => {
    const gate = gateOf(1, 5);
    const first = endless();
    const running = gate.run(device('a'), atOnce, first.work);
    await expect(gate.run(device('b'), atOnce, async () => 'never')).rejects.toMatchObject({
      code: 'unavailable',
    });
    first.end();
    await running;
    await expect(gate.run(device('b'), atOnce, () => Promise.reject(new Error('broken')))).rejects.toThrow(
      'broken',
    );
    expect(await gate.run(device('b'), atOnce, async () => 'free')).toBe('free');
  });
});
