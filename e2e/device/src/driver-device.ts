import { randomUUID } from 'node:crypto';
import type { AckResponse, LocalMutation, Outcome, PullResponse, PushResponse } from '@sync/protocol';
import { type VectorClock, counterOf, deviceReplica, mergeClocks } from '@sync/vector-clock';
import { ScopeReplica } from './scope-replica.ts';
import { type DeviceCredentials, type GatewayAnswer, callGateway } from './signed-http.ts';
import { tagMutation } from './tag-mutation.ts';

/** What a learner's app changes: everything else of a LocalMutation is the device's business. */
interface LocalChange {
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly op: LocalMutation['op'];
  readonly data?: Record<string, unknown> | null;
  readonly update?: string;
  readonly dependsOn?: string[];
  /**
   * How long ago it was made. A device's time is corrected by what its push took: where the order of writes
   * counts, they are made further apart than a push on a busy machine may take.
   */
  readonly agoMs?: number;
}

/** A gateway answer that a driver did not expect; carries the problem document. */
class UnexpectedAnswerError extends Error {
  readonly answer: GatewayAnswer;

  constructor(path: string, answer: GatewayAnswer) {
    super(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    this.name = 'UnexpectedAnswerError';
    this.answer = answer;
  }
}

/**
 * A device for black-box checks, which keeps everything in memory: it does what it is told and nothing else,
 * also what a good device never would, and shows every answer. It makes its requests without the SDK, whose
 * mistakes it would repeat. Whoever plays the device of a user takes `AppDevice`.
 */
export class DriverDevice {
  readonly credentials: DeviceCredentials;
  readonly scopes = new Map<string, ScopeReplica>();
  readonly outcomes = new Map<string, Outcome>();
  readonly outbox: LocalMutation[] = [];
  /** Added to this machine's clock: a device with a wrong clock. */
  clockOffsetMs = 0;
  private sequence = 0;
  private readonly outcomesToAck = new Set<string>();
  private readonly gatewayUrl: string;
  private readonly clocks = new Map<string, VectorClock>();

  constructor(gatewayUrl: string, credentials: DeviceCredentials) {
    this.gatewayUrl = gatewayUrl;
    this.credentials = credentials;
  }

  /** Writes locally: the mutation waits in the outbox until `push`. */
  write(change: LocalChange): LocalMutation {
    const key = `${change.entityType}/${change.entityId}`;
    const own = deviceReplica(this.credentials.deviceId);
    const last = this.clocks.get(key) ?? {};
    const held = this.heldClock(change) ?? last;
    // Of what it once saw nothing but its own counter: the rest may have been folded away since.
    const baseClock = mergeClocks(held, { [own]: counterOf(last, own) });
    this.sequence += 1;
    const mutation = this.tag<LocalMutation>({
      mutationId: randomUUID(),
      sequence: this.sequence,
      scope: change.scope,
      entityType: change.entityType,
      entityId: change.entityId,
      op: change.op,
      ...(change.data === undefined ? {} : { data: change.data }),
      ...(change.update === undefined ? {} : { update: change.update }),
      ...(change.dependsOn ? { dependsOn: change.dependsOn } : {}),
      baseClock,
      occurredAt: new Date(Date.now() + this.clockOffsetMs - (change.agoMs ?? 0)).toISOString(),
      schemaVersion: 1,
    });
    this.clocks.set(key, { ...baseClock, [own]: counterOf(baseClock, own) + 1 });
    this.outbox.push(mutation);
    return mutation;
  }

  /** The mutation with the tag of this device; `write` makes one, and whoever changes what it wrote another. */
  tag<T extends object>(mutation: T): T {
    return tagMutation(this.credentials, mutation);
  }

  /** Pushes what waits, at most 500 a request, until the outbox is empty. */
  async push(): Promise<Outcome[]> {
    const all: Outcome[] = [];
    while (this.outbox.length > 0) {
      const mutations = this.outbox.slice(0, 500);
      const answer = await this.call<PushResponse>('/sync/v1/push', {
        sentAt: new Date(Date.now() + this.clockOffsetMs).toISOString(),
        mutations,
        backlog: { pending: this.outbox.length },
      });
      this.outbox.splice(0, mutations.length);
      this.noteOutcomes(answer.outcomes);
      all.push(...answer.outcomes);
    }
    return all;
  }

  /** One pull of everything granted; pages are applied, nothing is acknowledged. */
  async pullOnce({ waitMs = 0 }: { waitMs?: number } = {}): Promise<PullResponse> {
    const asked = [...this.scopes.keys()];
    const answer = await this.call<PullResponse>('/sync/v1/pull', {
      ...(asked.length > 0
        ? { scopes: asked.map((scope) => ({ scope, cursor: this.scopes.get(scope)?.cursor ?? null })) }
        : {}),
      limit: 500,
      waitMs,
    });
    for (const page of answer.scopes) this.replica(page.scope).applyPage(page);
    this.noteOutcomes(answer.outcomes);
    return answer;
  }

  /**
   * Pulls until no scope has more and newly granted scopes are held too, then acks. Purges what was revoked.
   */
  async sync(): Promise<void> {
    for (;;) {
      const known = await this.pullOnce();
      const discovered = await this.discoverScopes();
      if (!discovered && known.scopes.every((page) => !page.hasMore)) break;
    }
    await this.ack();
  }

  /** Says that everything up to the held cursors, and every terminal outcome, is stored. */
  async ack(): Promise<AckResponse> {
    const outcomes = [...this.outcomesToAck];
    const answer = await this.call<AckResponse>('/sync/v1/ack', {
      cursors: [...this.scopes].flatMap(([scope, replica]) =>
        replica.cursor ? [{ scope, cursor: replica.cursor, digest: replica.digest }] : [],
      ),
      outcomes,
      backlog: { pending: this.outbox.length },
    });
    for (const mutationId of outcomes) this.outcomesToAck.delete(mutationId);
    return answer;
  }

  /** Removes revoked scopes from the device and says so. */
  async purge(scopes: readonly string[]): Promise<void> {
    for (const scope of scopes) this.scopes.delete(scope);
    await this.call('/sync/v1/ack', { purged: scopes });
  }

  replica(scope: string): ScopeReplica {
    const known = this.scopes.get(scope) ?? new ScopeReplica();
    this.scopes.set(scope, known);
    return known;
  }

  /** @throws UnexpectedAnswerError unless the gateway answers 200 */
  async call<T>(path: string, body: unknown): Promise<T> {
    const answer = await this.send<T>(path, body);
    if (answer.status !== 200) throw new UnexpectedAnswerError(path, answer as GatewayAnswer);
    return answer.body;
  }

  /** Sends as it is and shows the answer, whatever it is. */
  send<T>(
    path: string,
    body: unknown,
    options: { method?: string; signal?: AbortSignal } = {},
  ): Promise<GatewayAnswer<T>> {
    return callGateway<T>(this.gatewayUrl, this.credentials, path, body, options);
  }

  /** A pull without `scopes` names everything granted; one delta is enough to learn the names. */
  private async discoverScopes(): Promise<boolean> {
    const answer = await this.call<PullResponse>('/sync/v1/pull', { limit: 1 });
    const fresh = answer.scopes.filter(({ scope }) => !this.scopes.has(scope));
    for (const { scope } of fresh) this.replica(scope);
    if (answer.revoked.length > 0) await this.purge(answer.revoked);
    return fresh.length > 0;
  }

  /**
   * Stores outcomes of one answer, each with its entity; those that are final are acked with the next ack.
   */
  noteOutcomes(outcomes: readonly Outcome[]): void {
    const shown = new Map(
      outcomes.flatMap(({ mutationId, current }) => (current ? [[mutationId, current]] : [])),
    );
    for (const outcome of outcomes) {
      const current = outcome.current ?? shown.get(outcome.currentOf ?? '');
      this.outcomes.set(outcome.mutationId, current ? { ...outcome, current } : outcome);
      if (outcome.status !== 'accepted') this.outcomesToAck.add(outcome.mutationId);
    }
  }

  private heldClock(change: LocalChange): VectorClock | undefined {
    return this.scopes.get(change.scope)?.entities.get(`${change.entityType}/${change.entityId}`)?.clock;
  }
}
