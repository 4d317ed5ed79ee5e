import type { DriverDevice } from '@sync/e2e-device';
import type {
  AckRequest,
  LocalMutation,
  Outcome,
  PullResponse,
  PushResponse,
  RemoteDelta,
} from '@sync/protocol';

/**
 * A client as somebody else would write one, in a hundred lines: it stores entities by scope, and forgets
 * what it has pushed. Only `scope` of an outcome says where its entity belongs (PUSH-26). What it has stored
 * it acks with its next push or pull (ACK-5), so it needs these two requests and no third.
 */
export class SmallClient {
  readonly #device: DriverDevice;
  readonly #scopes = new Map<string, Map<string, RemoteDelta>>();
  readonly #cursors = new Map<string, string>();
  #ack: Required<Pick<AckRequest, 'outcomes' | 'purged'>> = { outcomes: [], purged: [] };

  /** @param device signs and sends its requests, and does nothing else */
  constructor(device: DriverDevice) {
    this.#device = device;
  }

  /** The scopes that it has something of. */
  get scopes(): string[] {
    return [...this.#scopes.keys()].sort();
  }

  find(scope: string, entityType: string, entityId: string): RemoteDelta['data'] | undefined {
    return this.#scopes.get(scope)?.get(`${entityType} ${entityId}`)?.data;
  }

  async push(mutations: readonly LocalMutation[]): Promise<Outcome[]> {
    const body = { sentAt: new Date().toISOString(), mutations };
    const { outcomes } = await this.#call<PushResponse>('/sync/v1/push', body);
    return this.#take(outcomes);
  }

  /** One page of each scope; of all that the user holds at first. */
  async pull(): Promise<PullResponse> {
    const known = [...this.#cursors].map(([scope, cursor]) => ({ scope, cursor }));
    const body = known.length === 0 ? {} : { scopes: known };
    const answer = await this.#call<PullResponse>('/sync/v1/pull', body);
    for (const { scope, reset, deltas, cursor } of answer.scopes) {
      if (reset) this.#scopes.delete(scope);
      for (const delta of deltas) this.#store(scope, delta);
      this.#cursors.set(scope, cursor);
    }
    for (const scope of answer.revoked) {
      this.#scopes.delete(scope);
      this.#cursors.delete(scope);
      this.#ack.purged.push(scope);
    }
    this.#take(answer.outcomes);
    return answer;
  }

  /** Sends what it has stored with the request; where that failed, it is sent with the next one again. */
  async #call<Answer>(path: string, body: object): Promise<Answer> {
    const cursors = [...this.#cursors].map(([scope, cursor]) => ({ scope, cursor }));
    const answer = await this.#device.call<Answer>(path, { ...body, ack: { ...this.#ack, cursors } });
    this.#ack = { outcomes: [], purged: [] };
    return answer;
  }

  #take(outcomes: readonly Outcome[]): Outcome[] {
    const shown = new Map(outcomes.map(({ mutationId, current }) => [mutationId, current]));
    for (const { mutationId, status, scope, current, currentOf = '' } of outcomes) {
      if (status !== 'accepted') this.#ack.outcomes.push(mutationId);
      const entity = current ?? shown.get(currentOf);
      if (scope !== undefined && entity) this.#store(scope, entity);
    }
    return [...outcomes];
  }

  #store(scope: string, delta: RemoteDelta): void {
    const entities = this.#scopes.get(scope) ?? new Map<string, RemoteDelta>();
    const key = `${delta.entityType} ${delta.entityId}`;
    if (delta.op === 'delete') entities.delete(key);
    else entities.set(key, delta);
    this.#scopes.set(scope, entities);
  }
}
