import { until } from './until.ts';

/** Answers as soon as so many long polls wait at a gateway, which it says on its port of operations. */
export async function pullsWait(opsUrl: string, count: number): Promise<void> {
  await until(async () => ((await waitingPulls(opsUrl)) === count ? true : null));
}

async function waitingPulls(opsUrl: string): Promise<number> {
  const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
  return Number(/^sync_waiting_pulls\{[^}]*\} (\d+)/m.exec(metrics)?.[1]);
}
