import type { AckResponse, LocalMutation, PullResponse, PushResponse } from '@sync/protocol';
import { LIMITS } from '@sync/protocol/device';
import type { Clock } from '../clock/clock.ts';
import { SteadyTime } from '../clock/steady-time.ts';
import { STOPPED, step } from '../engine/step.ts';
import type { Effect, EngineEvent, EngineState, LaneName, PhaseKind, SyncReason } from '../engine/state.ts';
import type { LocalState } from '../local/local-state.ts';
import { NotLeadingError, StorageClearedError, StoreReplacedError } from '../local/guarded-store.ts';
import { ackBody, storeAck } from '../local/acks.ts';
import { type PullStored, storePull, storePush } from '../local/store-answers.ts';
import { takeBatch } from '../local/take-batch.ts';
import { checkAnswer } from '../net/check-answers.ts';
import type { Answer, Call, Failure, LiveLine, LiveState, Transport } from '../net/transport.ts';
import { StorageError } from '../storage/store.ts';

/** A request that nothing is heard of for so long is given up: the server answers within 20 s (COMMON-20). */
const TIMEOUT_MS = 40_000;
/** Of the mutations of a push, as JSON: with what is beside them below 1 MiB, where nothing is compressed. */
const PUSH_BYTES = 1_040_000;
const STORE_AGAIN_MS = 10_000;
/** A line that the server has ended for good is tried again after this, where pulls say that all is well. */
const LINE_AGAIN_MS = 60_000;
/** A pull that waits sooner than this is answered is taken for one that did not wait. */
const MIN_WAIT_MS = 2_000;

/** Whether there is a socket: it is opened when an answer has come, and stays while others do not. */
const LINE_IN: Readonly<Record<PhaseKind, 'none' | 'as_it_is' | 'open'>> = {
  stopped: 'none',
  offline: 'none',
  connecting: 'as_it_is',
  syncing: 'open',
  live: 'open',
  backing_off: 'as_it_is',
  needs_auth: 'none',
  revoked: 'none',
  needs_resync: 'none',
};

export interface SyncLoopOptions {
  readonly local: LocalState;
  readonly transport: Transport;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Other clients may use the store, or a browser clear it. */
  readonly isShared: boolean;
  /** Told after each step. */
  readonly onState: (state: EngineState) => void;
  /** Another tab talks to the server now, or has made the store anew. */
  readonly onDeposed: (why: 'refused' | 'replaced') => void;
}

/** Does what the engine decides, and tells it how that went. */
export class SyncLoop {
  readonly #options: SyncLoopOptions;
  #state: EngineState = STOPPED;
  /** Of everything that is on its way; what was given up reports nothing any more. */
  #flight = new AbortController();
  #cancelWake: () => void = () => undefined;
  #cancelAgain: () => void = () => undefined;
  #line: LiveLine | null = null;
  #lineNotBeforeMs = 0;
  readonly #time: SteadyTime;
  #mutationsPerPush: number = LIMITS.mutationsPerPush;
  #deltasPerPull: number = LIMITS.deltasPerPull;
  /** The last failure with all that is known of it. */
  lastFailure: Failure | null = null;

  constructor(options: SyncLoopOptions) {
    this.#options = options;
    this.#time = new SteadyTime(options.clock);
  }

  /** How far the times in its state are before the device's clock, which was set back by so much. */
  get aheadMs(): number {
    return this.#time.aheadMs;
  }

  get state(): EngineState {
    return this.#state;
  }

  dispatch(event: EngineEvent): void {
    const { state, effects } = step(this.#state, event, this.#time.now());
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (event.kind === 'network_back') this.#line?.wake();
    this.#tendLine(state.phase.kind);
    this.#options.onState(state);
  }

  #tendLine(phase: PhaseKind): void {
    const { transport } = this.#options;
    const wish = LINE_IN[phase];
    if (wish === 'none') {
      this.#line?.close();
      this.#line = null;
      this.#lineNotBeforeMs = 0;
    } else if (
      wish === 'open' &&
      !this.#line &&
      transport.listen &&
      this.#time.now() >= this.#lineNotBeforeMs
    ) {
      this.#line = transport.listen({
        onNotice: (scopes) => this.#hint(scopes),
        onState: (line) => this.#noteLine(line),
      });
    }
  }

  #hint(scopes: Iterable<string>): void {
    this.#options.local.asking.askSoon(scopes);
    this.dispatch({ kind: 'hint' });
  }

  #noteLine({ kind }: LiveState): void {
    if (kind === 'open') {
      this.#options.local.asking.askSoon(this.#options.local.mirror.scopes.keys());
      this.dispatch({ kind: 'socket_opened' });
    } else if (this.#state.hasSocket) this.dispatch({ kind: 'socket_lost' });
    if (kind !== 'ended') return;
    this.#line?.close();
    this.#line = null;
    this.#lineNotBeforeMs = this.#time.now() + LINE_AGAIN_MS;
    // What a pull is answered says best how the device stands.
    this.dispatch({ kind: 'hint' });
  }

  #perform(effect: Effect): void {
    const { clock, local } = this.#options;
    switch (effect.kind) {
      case 'run':
        void this.#run(effect.lane, effect.waitMs);
        return;
      case 'abort':
        this.#flight.abort();
        this.#flight = new AbortController();
        this.#cancelWake();
        this.#cancelAgain();
        return;
      case 'wake':
        this.#cancelWake();
        this.#cancelWake = clock.setTimer(Math.max(0, effect.atMs - this.#time.now()), () =>
          this.dispatch({ kind: 'woken' }),
        );
        return;
      case 'send_less':
        this.#sendLess(effect.lane);
        return;
      case 'drop_cursors':
        void local
          .dropCursors(effect.scopes ?? [...local.mirror.scopes.keys()])
          .catch((error: unknown) => this.#trouble(error));
        return;
      case 'wipe':
        void this.#untilDone(() => local.wipe());
        return;
      case 'rebuild':
        void this.#untilDone(async () => {
          await local.rebuild();
          this.dispatch({ kind: 'storage_rebuilt' });
        });
    }
  }

  /** Where there is no room, or the store is broken still, it is tried again, until the device is stopped. */
  async #untilDone(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#flight;
    try {
      await work();
    } catch (error) {
      if (signal.aborted || this.#isElsewhere(error)) return;
      const again = (): void => void this.#untilDone(work);
      this.#cancelAgain = this.#options.clock.setTimer(STORE_AGAIN_MS, again);
    }
  }

  async #run(lane: LaneName, waitMs: number): Promise<void> {
    const { signal } = this.#flight;
    const report = (event: EngineEvent): void => {
      if (!signal.aborted) this.dispatch(event);
    };
    const random = this.#options.random();
    try {
      const result = await this.#lane(lane, waitMs, signal);
      if ('kind' in result) {
        this.lastFailure = result;
        report({ kind: 'failed', lane, failure: result, random });
      } else {
        report({ kind: 'done', lane, result, random });
      }
    } catch (error) {
      const kind = this.#trouble(error, signal);
      if (kind) report({ kind: 'failed', lane, failure: { kind, retryAfterMs: null }, random });
    }
  }

  /** @returns why the lane has failed; null where it is more than that lane's trouble */
  #trouble(error: unknown, signal?: AbortSignal): 'storage_full' | 'storage_failed' | 'garbage' | null {
    if (this.#isElsewhere(error)) return null;
    if (error instanceof StorageClearedError) {
      this.dispatch({ kind: 'storage_lost', reason: 'storage_cleared' });
      return null;
    }
    // What is not the store's is an answer that nobody could foresee.
    if (!(error instanceof StorageError)) return 'garbage';
    if (error.code === 'full') return 'storage_full';
    if (error.code === 'damaged' && !signal?.aborted) {
      this.dispatch({ kind: 'storage_lost', reason: 'storage_damaged' });
      return null;
    }
    return 'storage_failed';
  }

  #isElsewhere(error: unknown): boolean {
    if (error instanceof NotLeadingError) this.#options.onDeposed('refused');
    else if (error instanceof StoreReplacedError) this.#options.onDeposed('replaced');
    else return false;
    return true;
  }

  async #lane(lane: LaneName, waitMs: number, signal: AbortSignal) {
    const { isShared, local } = this.#options;
    // A tab that was killed has told nobody of its last write.
    const hasFound = isShared && (await local.lookForWrites());
    if (hasFound && !signal.aborted) this.dispatch({ kind: 'wrote' });
    if (lane === 'pull') return this.#pull(waitMs, signal);
    return lane === 'push' ? this.#push(signal) : this.#ack(signal);
  }

  async #pull(fullWaitMs: number, signal: AbortSignal) {
    const { local } = this.#options;
    const scopes = local.asking.nextScopes();
    // Whoever holds more than one pull may ask for waits on each part of them in turn.
    const waitMs = fullWaitMs && Math.max(MIN_WAIT_MS, Math.floor(fullWaitMs / local.asking.pullsForAll));
    const asked = scopes?.map(({ scope }) => scope) ?? [];
    let isStored = false;
    try {
      const answer = await this.#send<PullResponse>('pull', {
        body: { ...(scopes ? { scopes } : {}), limit: this.#deltasPerPull, waitMs, backlog: this.#backlog() },
        timeoutMs: TIMEOUT_MS + waitMs,
        signal,
      });
      if (!answer.ok) return withScopes(answer, asked, 'scopes');
      await local.admit();
      this.#deltasPerPull = Math.min(LIMITS.deltasPerPull, more(this.#deltasPerPull));
      const stored = await storePull(local, scopes, answer.body, this.#nowIso());
      isStored = true;
      return {
        hadNews: stored.hadNews,
        isComplete: stored.isComplete,
        hasMore: stored.hasMore,
        wantsAck: ackBody(local) !== null,
        syncReason: syncReasonOf(stored),
      };
    } finally {
      if (!isStored) local.asking.askSoon(asked);
    }
  }

  async #push(signal: AbortSignal) {
    const { local } = this.#options;
    const bounds = { mutations: this.#mutationsPerPush, bytes: PUSH_BYTES };
    const mutations = await takeBatch(local, bounds);
    if (mutations.length === 0) return { hadNews: true, isComplete: true, wantsAck: false };
    const body = { sentAt: this.#nowIso(), mutations, backlog: this.#backlog() };
    const answer = await this.#send<PushResponse>('push', { body, timeoutMs: TIMEOUT_MS, signal });
    if (!answer.ok) return (await this.#takeOut(faultyOf(mutations, answer), answer)) ?? answer;
    this.#mutationsPerPush = Math.min(LIMITS.mutationsPerPush, more(this.#mutationsPerPush));
    const hadNews = await storePush(local, answer.body, this.#nowIso());
    return this.#pushed(hadNews);
  }

  #pushed(hadNews: boolean) {
    const { local } = this.#options;
    return { hadNews, isComplete: local.mirror.outbox.queuedCount === 0, wantsAck: ackBody(local) !== null };
  }

  /** Mutations that no push may have are refused here, for the others to go on. */
  async #takeOut(faulty: readonly LocalMutation[], { kind, detail, problem }: Failure) {
    if (faulty.length === 0) return null;
    const { local } = this.#options;
    const code = problem?.code ?? kind;
    const refused = { status: 'rejected' as const, code, message: detail };
    const outcomes = faulty.map(({ mutationId }) => ({ mutationId, ...refused }));
    await storePush(local, { serverTime: this.#nowIso(), outcomes }, this.#nowIso());
    return this.#pushed(true);
  }

  async #ack(signal: AbortSignal) {
    const { local } = this.#options;
    const body = ackBody(local);
    if (!body) return { hadNews: false, isComplete: true, wantsAck: false };
    const answer = await this.#send<AckResponse>('ack', {
      body: { ...body, backlog: this.#backlog() },
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    if (!answer.ok) return withScopes(answer, body.cursors?.map(({ scope }) => scope) ?? [], 'cursors');
    await storeAck(local, body);
    return { hadNews: true, isComplete: true, wantsAck: ackBody(local) !== null };
  }

  async #send<T>(what: 'pull' | 'push' | 'ack', call: Omit<Call, 'method' | 'path'>): Promise<Answer<T>> {
    const sentMs = this.#time.now();
    const answer = await this.#options.transport.send<T>({
      method: 'POST',
      path: `/sync/v1/${what}`,
      ...call,
    });
    // It was given up: on a line that is too slow for it, it would never come through.
    if (!answer.ok && this.#time.now() - sentMs > call.timeoutMs - 1_000) this.#sendLess(what);
    return checkAnswer(what, answer);
  }

  #sendLess(lane: LaneName): void {
    if (lane === 'push') this.#mutationsPerPush = Math.max(1, this.#mutationsPerPush >> 1);
    if (lane === 'pull') this.#deltasPerPull = Math.max(1, this.#deltasPerPull >> 1);
  }

  #backlog() {
    const { outbox } = this.#options.local.mirror;
    return { pending: outbox.queuedCount, oldestAt: outbox.oldestQueuedAt };
  }

  /** The device's own time: the server compares `sentAt` with its own (POLICY-4). */
  #nowIso(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}

/** A quarter: on a line that is too slow for more, most requests come through, not every other one. */
const more = (count: number): number => count + 1 + (count >> 2);

function syncReasonOf({ isFirstSync, isResync }: PullStored): SyncReason {
  if (isFirstSync) return 'first_sync';
  return isResync ? 'resync' : 'catching_up';
}

/** What of a list in a request the problem names with its JSON Pointers. */
function namedIn<T>(list: readonly T[], name: string, problem: Failure['problem']): readonly T[] {
  const pointer = new RegExp(`^/${name}/(\\d+)(?:/|$)`);
  const places = new Set(problem?.errors?.map(({ path }) => Number(pointer.exec(path)?.[1] ?? -1)));
  return list.filter((_each, place) => places.has(place));
}

/** With the scopes whose cursors are not taken, where the server says so. */
function withScopes(failure: Failure, asked: readonly string[], name: 'scopes' | 'cursors') {
  const scopes = namedIn(asked, name, failure.problem);
  return scopes.length > 0 ? { ...failure, scopes } : failure;
}

/**
 * The mutations for which a push was refused: those that its problem names, or one that is too large all by
 * itself. A signature, a path or a time that is not taken is no fault of what its person has written, which
 * goes when that is put right.
 */
function faultyOf(mutations: readonly LocalMutation[], { kind, problem }: Failure): readonly LocalMutation[] {
  if (kind === 'too_large') return mutations.length === 1 ? mutations : [];
  return kind === 'refused' ? namedIn(mutations, 'mutations', problem) : [];
}
