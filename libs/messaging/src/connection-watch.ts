import type { NatsConnection } from '@nats-io/transport-node';

/** Thrown by {@link ConnectionWatch.untilDisconnect}: whether the server got the request is unknown. */
export class DisconnectedError extends Error {
  override readonly name = 'DisconnectedError';
}

const watches = new WeakMap<NatsConnection, ConnectionWatch>();

/** The watch of a connection: one per connection, however many relays and consumers use it. */
export function watchConnection(nats: NatsConnection): ConnectionWatch {
  let watch = watches.get(nats);
  if (watch === undefined) {
    watch = new ConnectionWatch(nats);
    watches.set(nats, watch);
  }
  return watch;
}

/**
 * Knows whether the connection is up. The client itself lets requests in flight run into their timeout when
 * the server dies, seconds after a new server is ready; with this, retries start with the reconnect.
 */
export class ConnectionWatch {
  #connected = true;
  readonly #onReconnect = new Set<() => void>();
  readonly #onDisconnect = new Set<() => void>();

  constructor(nats: NatsConnection) {
    void this.#follow(nats);
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** @returns a function that removes the listener */
  onReconnect(listener: () => void): () => void {
    this.#onReconnect.add(listener);
    return () => this.#onReconnect.delete(listener);
  }

  /** Settles like `work`, or rejects with {@link DisconnectedError} as soon as the connection is lost. */
  untilDisconnect<T>(work: Promise<T>): Promise<T> {
    if (!this.#connected) {
      work.catch(() => undefined); // it will fail much later, and nobody waits for it any more
      return Promise.reject(new DisconnectedError('No connection to NATS'));
    }
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => reject(new DisconnectedError('Connection to NATS lost'));
      this.#onDisconnect.add(abort);
      work.then(resolve, reject).finally(() => this.#onDisconnect.delete(abort));
    });
  }

  async #follow(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      if (status.type === 'disconnect') {
        this.#connected = false;
        for (const listener of [...this.#onDisconnect]) listener();
      } else if (status.type === 'reconnect') {
        this.#connected = true;
        for (const listener of [...this.#onReconnect]) listener();
      }
    }
    this.#connected = false;
    for (const listener of [...this.#onDisconnect]) listener();
  }
}
