import { describe, expect, it } from '@jest/globals';
import { LIVE_CLOSE_CODES } from '@sync/protocol/device';
import fc from 'fast-check';
import { pauseMs, type SocketEnd } from './live-pause.ts';

const END: SocketEnd = { code: 1006, reason: '', wasSteady: false, retryAfterMs: null };
const RESTART = { ...END, code: LIVE_CLOSE_CODES.serviceRestart.code };
const codes = [null, 1000, 1006, ...Object.values(LIVE_CLOSE_CODES).map(({ code }) => code)];

describe('pauseMs', () => {
  it('grows to a minute', () => {
    const most = [1, 2, 3, 4, 5, 6, 7, 100].map((failures) => pauseMs(END, failures, 0.999_999));
    expect(most).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(pauseMs(END, 1, 0)).toBe(500);
  });

  it('is what a server that stops says, where the socket was a good one', () => {
    expect(pauseMs({ ...RESTART, wasSteady: true, reason: 'retry-after-ms=1234' }, 1, 0.5)).toBe(1_234);
    expect(pauseMs({ ...RESTART, wasSteady: true, reason: 'retry-after-ms=0' }, 1, 0.5)).toBe(0);
    expect(pauseMs({ ...RESTART, wasSteady: true, reason: 'retry-after-ms=999999999' }, 1, 0)).toBe(30_000);
  });

  it('is its own where a server says so again and again, or nothing that can be read', () => {
    expect(pauseMs({ ...RESTART, reason: 'retry-after-ms=0' }, 7, 0)).toBe(30_000);
    expect(pauseMs({ ...RESTART, reason: 'retry-after-ms=9000' }, 1, 0)).toBe(9_000);
    for (const reason of ['', 'retry-after-ms=-1', 'retry-after-ms=1e9', 'retry-after-ms=5 '])
      expect(pauseMs({ ...RESTART, wasSteady: true, reason }, 1, 0)).toBe(500);
  });

  it('is not shortened by a reason that comes with another code', () => {
    expect(pauseMs({ ...END, wasSteady: true, reason: 'retry-after-ms=0' }, 1, 0)).toBe(500);
  });

  it('is long when other sockets of the device pushed it out', () => {
    expect(pauseMs({ ...END, code: LIVE_CLOSE_CODES.replaced.code }, 1, 0)).toBe(7_500);
  });

  it('is as long as an answer without a ticket asks for', () => {
    expect(pauseMs({ ...END, code: null, retryAfterMs: 45_000 }, 1, 0)).toBe(45_000);
    expect(pauseMs({ ...END, code: null, retryAfterMs: 1 }, 1, 0)).toBe(500);
  });

  it('is half a second at least for whatever was no good socket', () => {
    fc.assert(
      fc.property(fc.constantFrom(...codes), fc.string(), fc.nat(50), fc.nat(), (code, reason, at, retry) => {
        const end = { code, reason, wasSteady: false, retryAfterMs: retry };
        expect(pauseMs(end, at + 1, 0)).toBeGreaterThanOrEqual(500);
      }),
    );
  });
});
