import type { NatsConnection } from '@nats-io/transport-node';
import { subjects } from '@sync/protocol';
import { watchConnection } from './connection-watch.ts';
import { decodeReplayPage, type ReplayPage, type ReplayRequest } from './wire.ts';

const REPLAY_TIMEOUT_MS = 5_000;

/**
 * Asks a producer for the messages after a number.
 *
 * @throws RequestError without a responder (producer down), TimeoutError, DisconnectedError, RemoteError when
 *   the producer could not, SyntaxError for an unreadable answer
 */
export async function requestReplay(
  nats: NatsConnection,
  producer: string,
  request: ReplayRequest,
): Promise<ReplayPage> {
  const asked = nats.request(subjects.replay(producer), JSON.stringify(request), {
    timeout: REPLAY_TIMEOUT_MS,
  });
  const answer = await watchConnection(nats).untilDisconnect(asked);
  return decodeReplayPage(answer.data);
}
