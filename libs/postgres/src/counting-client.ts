import { readJson } from '@sync/domain';
import { Client, type ClientConfig, types } from 'pg';

/**
 * A `pg` client class that reports every message it sends and that can never end the process.
 *
 * Counting sits on the client and not on our own functions, so that what TypeORM sends is counted as well. A
 * parameterised query is one message: `pg` writes parse, bind, execute and sync together.
 *
 * The permanent `error` listener is the reason for the rest: between being taken from the pool and its first
 * query, a client has no listener of its own, and a Postgres that dies in that moment would end the whole
 * process with an unhandled `error` event. The loss is not hidden: the next query on the client fails.
 *
 * @param onMessage called once per message sent to the server
 */
export function countingClient(onMessage: () => void): typeof Client {
  return class CountingClient extends Client {
    constructor(config?: string | ClientConfig) {
      super(config);
      this.on('error', ignoreLostConnection);
      // Whoever wrote what is stored chose its keys.
      for (const oid of [types.builtins.JSON, types.builtins.JSONB]) this.setTypeParser(oid, readJson);
      const send = this.query.bind(this);
      this.query = new Proxy(send, {
        apply: (_send, _client, args: unknown[]): unknown => {
          onMessage();
          return Reflect.apply(send, this, args);
        },
      });
    }
  };
}

function ignoreLostConnection(): void {
  // Intentionally empty, see above.
}
