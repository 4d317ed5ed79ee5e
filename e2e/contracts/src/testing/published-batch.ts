import type { NatsConnection } from '@nats-io/transport-node';

const LIMIT_MS = 15_000;

/**
 * The first batch of a stream that holds the element looked for, cut down to that element: other changes may
 * travel in the same message.
 *
 * @param cause what makes the provider publish it; runs when the subscription stands
 */
export async function publishedBatch(
  nats: NatsConnection,
  subject: string,
  isWanted: (element: unknown) => boolean,
  cause: () => Promise<unknown>,
): Promise<readonly unknown[]> {
  const subscription = nats.subscribe(subject);
  const timer = setTimeout(() => subscription.unsubscribe(), LIMIT_MS);
  try {
    await nats.flush();
    await cause();
    for await (const message of subscription) {
      const found = message.json<readonly unknown[]>().filter(isWanted);
      if (found.length > 0) return found;
    }
    throw new Error(`nothing of that kind was published on ${subject} within ${LIMIT_MS} ms`);
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
}
