import { randomUUID } from 'node:crypto';
import { IdlePause, RepeatedWork } from '@sync/messaging';
import type { AIClient } from './ai-client.ts';
import type { AIConfig } from './ai-config.ts';
import { type AttemptResult, generateSuggestion } from './generate-suggestion.ts';
import { type Claim, claimJobs } from './job-store.ts';
import type { SuggestionContext } from './suggestion-context.ts';

/** What is left of a claim when the model must have answered: enough to store it. */
const STORE_MS = 10_000;

/**
 * Works off the queue of questions, `parallel` at a time. Replicas share the queue; what one leaves behind
 * when it is killed, another takes up when its claim has run out.
 */
export class SuggestionWorker {
  readonly #context: SuggestionContext;
  readonly #ai: AIConfig;
  readonly #client: AIClient;
  readonly #ended: (result: AttemptResult) => void;
  readonly #name = randomUUID();
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #pause = new IdlePause({ busyMs: 2_000, idleMs: 8_000 });
  readonly #work = new RepeatedWork(() => this.#pass());

  /** @param ended called after each attempt */
  constructor(
    context: SuggestionContext,
    ai: AIConfig,
    client: AIClient,
    ended: (result: AttemptResult) => void,
  ) {
    this.#context = context;
    this.#ai = ai;
    this.#client = client;
    this.#ended = ended;
  }

  start(): void {
    this.#work.start();
  }

  /** There is something to do now; without it a later look finds it. */
  kick(): void {
    this.#pause.reset();
    this.#work.within(0);
  }

  /** Gives up calls in hand: their jobs are done again by whoever comes next. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work.stop();
    await Promise.all(this.#running);
  }

  /** The time that one attempt may take in all: every repetition of the client, its pauses, and storing. */
  get #leaseMs(): number {
    const { timeoutMs, attempts, maxPauseMs } = this.#ai.endpoint;
    return attempts * (timeoutMs + maxPauseMs) + 2 * STORE_MS;
  }

  /** @returns how long to wait before the next look */
  async #pass(): Promise<number> {
    const claims = await this.#claim();
    for (const claim of claims) {
      const run = this.#run(claim).finally(() => {
        this.#running.delete(run);
        this.kick();
      });
      this.#running.add(run);
    }
    return this.#pause.after(claims.length > 0);
  }

  async #claim(): Promise<Claim[]> {
    const places = this.#ai.parallel - this.#running.size;
    if (places <= 0) return [];
    try {
      return await claimJobs(this.#context.database, this.#name, places, this.#leaseMs);
    } catch (error) {
      this.#context.logger.warn({ err: error }, 'the queue of suggestions cannot be read');
      return [];
    }
  }

  async #run(claim: Claim): Promise<void> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(this.#leaseMs - STORE_MS)]);
    try {
      this.#ended(await generateSuggestion(this.#context, this.#ai, this.#client, claim, signal));
      this.#context.committed();
    } catch (error) {
      // The claim runs out and the job is taken again, at most three times: see `begin`.
      this.#context.logger.error(
        { err: error, suggestionId: claim.suggestionId },
        'suggestion attempt broke',
      );
    }
  }
}
