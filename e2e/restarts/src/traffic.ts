import type { LiveState, Transport } from '@sync/client';
import { LIVE_CLOSE_CODES } from '@sync/protocol/device';

/** What devices ask of the platform while it is restarted, counted. */
export class Traffic {
  /** One line for each request that was not answered as it should be, and for each socket that was lost. */
  readonly failures: string[] = [];
  #requests = 0;
  #openSockets = 0;
  #reopenedSockets = 0;
  #stopping = false;
  readonly #loops: Promise<void>[] = [];

  get requests(): number {
    return this.#requests;
  }

  get openSockets(): number {
    return this.#openSockets;
  }

  /** How often the replica of a socket stopped, and the device had another one then. */
  get reopenedSockets(): number {
    return this.#reopenedSockets;
  }

  /** The same transport, of which every request and every socket is counted. */
  through(transport: Transport): Transport {
    return {
      send: async (call) => {
        this.#requests += 1;
        const answer = await transport.send<never>(call);
        if (!answer.ok && answer.kind !== 'aborted') this.#fail(`${call.path}: ${textOf(answer)}`);
        return answer;
      },
      ...(transport.listen ? { listen: this.#listenBy(transport.listen.bind(transport)) } : {}),
    };
  }

  #listenBy(listen: NonNullable<Transport['listen']>): typeof listen {
    return ({ onNotice, onState }) => {
      let last: LiveState | null = null;
      let isBack = false;
      return listen({
        onNotice,
        onState: (state) => {
          if (last?.kind === 'open') this.#openSockets -= 1;
          last = state;
          if (state.kind === 'connecting') this.#requests += 1;
          if (state.kind === 'open') {
            this.#openSockets += 1;
            if (isBack) this.#reopenedSockets += 1;
          }
          if (state.kind === 'waiting') {
            isBack = state.code === LIVE_CLOSE_CODES.serviceRestart.code;
            const why = state.failure ? textOf(state.failure) : `closed with ${state.code}`;
            if (!isBack) this.#fail(`socket: ${why}`);
          }
          onState(state);
        },
      });
    };
  }

  /** Does it again and again until the end. What it throws is a failure, and ends it. */
  repeat(pass: () => Promise<void>): void {
    const loop = async (): Promise<void> => {
      try {
        while (!this.#stopping) await pass();
      } catch (error) {
        this.#fail(textOf(error));
      }
    };
    this.#loops.push(loop());
  }

  /** Nothing new is begun, and what is under way has been answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#loops);
  }

  #fail(line: string): void {
    this.failures.push(`${new Date().toISOString()} ${line}`);
  }
}

/** With its causes: an error of the network says the least itself. */
function textOf(what: unknown): string {
  const { message, detail, cause } = Object(what) as { message?: string; detail?: string; cause?: unknown };
  return `${detail ?? message ?? String(what)}${cause === undefined ? '' : `, ${textOf(cause)}`}`;
}
