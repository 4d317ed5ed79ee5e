import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '@sync/messaging';
import { type FaultState, subjects } from '@sync/protocol';
import type { NatsConnection } from '@nats-io/transport-node';
import type { CrashTarget } from './targets.ts';

const BACK_WITHIN_MS = 60_000;

/** Arms a place. @returns the process that will die there */
export async function armFault(nats: NatsConnection, target: CrashTarget, hits: number): Promise<FaultState> {
  const { service, place } = target;
  return request<FaultState>(nats, subjects.faults(service), { place, hits }, { timeoutMs: 5_000 });
}

/**
 * Disarms a service, waiting until it answers again.
 * @throws Error when it does not come back within a minute
 */
export async function disarmFault(nats: NatsConnection, service: string): Promise<FaultState> {
  const deadlineMs = performance.now() + BACK_WITHIN_MS;
  for (;;) {
    try {
      return await request<FaultState>(nats, subjects.faults(service), {}, { timeoutMs: 1_000 });
    } catch (error) {
      if (performance.now() > deadlineMs) throw new Error(`${service} did not come back`, { cause: error });
      await sleep(100);
    }
  }
}
