import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Metrics } from './metrics.ts';

describe('the metrics of a process', () => {
  it('wake it up for nothing', async () => {
    new Metrics('test');
    const turns = (): number => performance.nodeTiming.uvMetricsInfo.loopCount;
    const counts: number[] = [];
    // The quietest of some moments: the test's own process has other things to do now and then.
    while (counts.length < 20) {
      const before = turns();
      await sleep(100);
      counts.push(turns() - before);
    }
    expect(Math.min(...counts)).toBeLessThan(5);
  });

  it('tell how busy the event loop was, and nothing that was not measured', async () => {
    const { registry } = new Metrics('test');
    const text = await registry.metrics();
    const [, seconds = '0'] =
      /^nodejs_eventloop_active_seconds_total\{service="test"\} (.*)$/m.exec(text) ?? [];
    expect(Number(seconds)).toBeGreaterThan(0);
    expect(text).not.toContain('nodejs_eventloop_lag_p99_seconds');
  });
});
