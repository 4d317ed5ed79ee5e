import { describe, expect, it } from '@jest/globals';
import { CircuitBreaker } from './circuit-breaker.ts';

const opened = (): CircuitBreaker => {
  const breaker = new CircuitBreaker({ failures: 2, openMs: 100 });
  breaker.fail(0);
  breaker.fail(0);
  return breaker;
};

describe('CircuitBreaker', () => {
  it('opens after consecutive failures only', () => {
    const breaker = new CircuitBreaker({ failures: 2, openMs: 100 });
    breaker.fail(0);
    breaker.succeed();
    breaker.fail(0);
    expect([breaker.isOpen, breaker.allow(0)]).toEqual([false, true]);
    breaker.fail(0);
    expect([breaker.isOpen, breaker.allow(99)]).toEqual([true, false]);
  });

  it('lets one request probe when its time has passed', () => {
    const breaker = opened();
    expect([breaker.allow(100), breaker.allow(100)]).toEqual([true, false]);
  });

  it('closes after a probe that succeeds and stays open after one that fails', () => {
    const good = opened();
    good.allow(100);
    good.succeed();
    expect([good.isOpen, good.allow(101), good.allow(101)]).toEqual([false, true, true]);
    const bad = opened();
    bad.allow(100);
    bad.fail(100);
    expect([bad.allow(199), bad.allow(200)]).toEqual([false, true]);
  });
});
