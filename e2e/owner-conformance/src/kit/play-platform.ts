import type { NatsConnection } from '@nats-io/transport-node';
import { RemoteError, Responder, connectNats, ensureStreams } from '@sync/messaging';
import { type RegisterReply, STREAMS, SyncRegistration, subjects, validator } from '@sync/protocol';
import type { OwnerFile, OwnerTarget } from './owner-file.ts';

/** A service on the SDK repeats its registration every minute. */
const REGISTRATION_LIMIT_MS = 70_000;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };
function ignore(): void {
  // The checks say what is wrong.
}
const check = validator(SyncRegistration);

/** The platform as far as a service sees it before it is pushed to. */
export interface PlayedPlatform {
  readonly target: OwnerTarget;
  stop(): Promise<void>;
}

/** A connection as the file says. @throws Error where nobody answers at once */
export function connectAsPlatform({
  nats: url,
  nkeySeed,
}: Pick<OwnerFile, 'nats' | 'nkeySeed'>): Promise<NatsConnection> {
  const identity = nkeySeed === undefined ? {} : { identity: { service: 'sync-gateway', nkeySeed } };
  return connectNats({ url, name: 'conformance', waitOnFirstConnect: false, ...identity });
}

/**
 * Makes the stream of events and takes the service’s registration, as the gateway does, until it is stopped.
 * @throws Error when NATS does not answer, or the service neither registers nor has its registration in the
 *   file
 */
export async function playPlatform(
  file: OwnerFile,
  limitMs = REGISTRATION_LIMIT_MS,
): Promise<PlayedPlatform> {
  const nats = await connectAsPlatform(file);
  const registered = Promise.withResolvers<SyncRegistration>();
  const subject = subjects.registerAs(file.service);
  const responder = new Responder({
    ...{ nats, subject, queue: 'conformance', logger: silent },
    handle: (body): Promise<RegisterReply> => {
      const checked = check(body);
      if (!checked.ok) {
        const faults = checked.faults.map(({ path, message }) => `${path} ${message}`).join('; ');
        registered.reject(new Error(`the service registers what is no SyncRegistration: ${faults}`));
        throw new RemoteError('registration_invalid', faults);
      }
      registered.resolve(checked.value);
      return Promise.resolve({ registered: checked.value.entityTypes.map(({ entityType }) => entityType) });
    },
  });
  const stop = async (): Promise<void> => {
    await responder.stop();
    await nats.close();
  };
  const late = setTimeout(() => {
    const remedy = 'start it after this command, or write its registration into the file';
    registered.reject(
      new Error(`${file.service} did not register on ${subject} within ${limitMs} ms: ${remedy}`),
    );
  }, limitMs);
  try {
    await ensureStreams(nats, [STREAMS.DOMAIN_EVENTS]);
    const registration = file.registration ?? (await registered.promise);
    return { target: { ...file, registration }, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(late);
  }
}
