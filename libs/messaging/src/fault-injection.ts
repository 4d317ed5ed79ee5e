import type { NatsConnection } from '@nats-io/transport-node';
import { type FaultPlace, FaultRequest, type FaultState, subjects, validator } from '@sync/protocol';
import type { MessagingLogger } from './ports.ts';
import { RemoteError, Responder } from './request-reply.ts';

const checkRequest = validator(FaultRequest);

/**
 * Once per process, and on the hottest paths: a port handed through every constructor would cost more to read
 * than it explains.
 */
let armed: { readonly place: FaultPlace; left: number } | undefined;

/** Ends the process with SIGKILL if somebody has armed this place; otherwise one comparison. */
export function faultPoint(place: FaultPlace): void {
  if (armed === undefined || armed.place !== place) return;
  armed.left -= 1;
  if (armed.left <= 0) process.kill(process.pid, 'SIGKILL');
}

/**
 * Lets tests arm this process over NATS: `sync.fault.v1.<service>` `{place, hits}` kills it when the place is
 * reached for the `hits`-th time, `{}` disarms. Only for composition roots whose configuration has
 * FAULT_INJECTION, which production refuses.
 *
 * @throws nothing; the responder ends with the connection
 */
export function startFaultInjection(nats: NatsConnection, service: string, logger: MessagingLogger): void {
  logger.warn({ event: 'fault_injection' }, 'anybody on this NATS can kill this process');
  // It has no queue group's siblings in a test, and nothing to finish at a drain.
  new Responder({ nats, queue: service, logger, subject: subjects.faults(service), handle: arm });
}

function arm(body: unknown): Promise<FaultState> {
  const request = checkRequest(body ?? {});
  if (!request.ok)
    throw new RemoteError('schema_invalid', `${request.faults[0]?.path ?? ''} is no fault place`);
  const { place, hits = 1 } = request.value;
  armed = place === undefined ? undefined : { place, left: hits };
  return Promise.resolve({ pid: process.pid, place: place ?? null });
}
