import type { AckRequest, PullRequest, PushRequest } from '@sync/protocol';
import type { ModelServer } from '../../local/testing/model-server.ts';
import type { Answer, Call, Failure, LiveLine, LiveListener, Transport } from '../../net/transport.ts';

/** The way to a {@link ModelServer}, and what goes wrong on it. A pull waits until there is news. */
export class ModelTransport implements Transport {
  readonly server: ModelServer;
  readonly calls: Call[] = [];
  /** What comes instead of an answer; null where nothing goes wrong. */
  fail: (call: Call) => Failure | null = () => null;
  /** What becomes of a mutation. */
  decide: Parameters<ModelServer['push']>[2] = () => 'applied';
  #waiting: (() => void)[] = [];
  /** What comes of the answer; null is none yet, of a pull that waits. */
  change: (call: Call, body: unknown) => unknown = (_call, body) => body;

  /** Who listens to the socket; null while nobody does. */
  listener: LiveListener | null = null;
  readonly listen?: (listener: LiveListener) => LiveLine;

  constructor(server: ModelServer, hasSocket = false) {
    this.server = server;
    if (hasSocket) this.listen = (listener) => this.#listen(listener);
  }

  #listen(listener: LiveListener): LiveLine {
    this.listener = listener;
    return { wake: () => undefined, close: () => (this.listener = null) };
  }

  async send<T>(call: Call): Promise<Answer<T>> {
    this.calls.push(call);
    const failure = this.fail(call);
    if (failure) return failure;
    let body = this.change(call, this.#answer(call));
    while (body === null) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      body = this.change(call, this.#answer(call));
    }
    this.news();
    return { ok: true, body: body as T };
  }

  /** Lets pulls that wait look again. */
  news(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** How many of these there were. */
  count(what: 'pull' | 'push' | 'ack'): number {
    return this.calls.filter(({ path }) => path === `/sync/v1/${what}`).length;
  }

  #answer({ path, body }: Call): unknown {
    if (path === '/sync/v1/push') {
      return this.server.push((body as PushRequest).mutations, 'd:dev', this.decide);
    }
    if (path === '/sync/v1/ack') {
      const { cursors = [], outcomes = [] } = body as AckRequest;
      this.server.ack(outcomes);
      return { serverTime: '', cursors: cursors.map(({ scope }) => ({ scope, status: 'advanced' })) };
    }
    const { scopes, limit = 500, waitMs = 0 } = body as PullRequest;
    const answer = this.server.pull(scopes?.[0]?.cursor ?? null, limit);
    const hasNews = answer.outcomes.length > 0 || answer.scopes.some(({ deltas }) => deltas.length > 0);
    return waitMs > 0 && !hasNews ? null : answer;
  }
}
