import { setImmediate as letOthersWork } from 'node:timers/promises';
import type { Lane } from './lane.ts';

/** How lanes share the process while they are planned. */
export interface Planning {
  /** After this long other requests have their turn. */
  readonly sliceMs: number;
  /** After this long what is planned goes to its owners, and the rest is planned behind it. */
  readonly forMs: number;
}

/** Plans at least one mutation, and all that there is time for. @returns how long it took */
export async function planInSlices(lanes: readonly Lane[], { sliceMs, forMs }: Planning): Promise<number> {
  const startMs = performance.now();
  let sliceEndMs = startMs + sliceMs;
  for (const lane of lanes) {
    while (lane.planNext()) {
      const nowMs = performance.now();
      if (nowMs < sliceEndMs) continue;
      if (nowMs - startMs >= forMs) return nowMs - startMs;
      await letOthersWork();
      sliceEndMs = performance.now() + sliceMs;
    }
  }
  return performance.now() - startMs;
}
