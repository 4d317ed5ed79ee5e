import type { DocumentJobs } from './document-jobs.ts';
import { PoolBusyError, PoolClosedError } from './pool-errors.ts';
import { PoolWorker, type JobLimits } from './pool-worker.ts';

export interface PoolOptions extends Partial<JobLimits> {
  /** Threads; they start when they are first needed. */
  readonly size?: number;
  /** Jobs that may wait for a thread. */
  readonly queueLimit?: number;
  /** Another program for the threads, with jobs of its own; for tests. */
  readonly program?: URL;
}

interface WaitingJob {
  readonly kind: string;
  readonly input: unknown;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The source beside this source, the compiled file beside the compiled one. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './document-worker.ts' : './document-worker.js',
  import.meta.url,
);

/**
 * Runs what loads documents in threads, so that no document, however large or hostile, holds up the event
 * loop or takes the process's memory. A job that exceeds its time or heap is ended together with its thread,
 * and the next job gets a new thread (30 ms).
 *
 * **Invariants**: at most `size` threads; at most `size` jobs run and `queueLimit` wait; every job settles
 * exactly once.
 *
 * Heap is what V8 counts. Bytes of typed arrays are outside of it; they are bounded by the size of the input,
 * because no job allocates by a number that it reads.
 */
export class DocumentPool<
  Jobs extends Readonly<Record<keyof Jobs, (input: never) => unknown>> = DocumentJobs,
> {
  private readonly size: number;
  private readonly queueLimit: number;
  private readonly program: URL;
  private readonly limits: JobLimits;
  private readonly waiting: WaitingJob[] = [];
  private readonly idle: PoolWorker[] = [];
  private readonly busy = new Set<PoolWorker>();
  private closed = false;

  constructor(options: PoolOptions = {}) {
    this.size = options.size ?? 1;
    this.queueLimit = options.queueLimit ?? 256;
    this.program = options.program ?? PROGRAM;
    this.limits = {
      timeoutMs: options.timeoutMs ?? 5_000,
      startTimeoutMs: options.startTimeoutMs ?? 60_000,
      heapMb: options.heapMb ?? 256,
    };
  }

  /** Jobs that wait for a thread. */
  get queued(): number {
    return this.waiting.length;
  }

  /**
   * @throws PoolBusyError, PoolClosedError, WorkerStartError, JobTimeoutError, JobCrashedError,
   * JobFailedError
   */
  run<Kind extends keyof Jobs & string>(
    kind: Kind,
    input: Parameters<Jobs[Kind]>[0],
  ): Promise<ReturnType<Jobs[Kind]>> {
    return new Promise((resolve, reject) => {
      if (this.closed) throw new PoolClosedError();
      if (this.waiting.length >= this.queueLimit) throw new PoolBusyError(this.waiting.length);
      this.waiting.push({ kind, input, resolve: resolve as WaitingJob['resolve'], reject });
      this.next();
    });
  }

  /** Ends the threads; jobs that run or wait fail with PoolClosedError. */
  async close(): Promise<void> {
    this.closed = true;
    for (const job of this.waiting.splice(0)) job.reject(new PoolClosedError());
    await Promise.all([...this.idle.splice(0), ...this.busy].map((worker) => worker.stop()));
  }

  private next(): void {
    if (this.closed || this.waiting.length === 0 || this.busy.size >= this.size) return;
    const job = this.waiting.shift();
    if (!job) return;
    const worker = this.takeWorker();
    this.busy.add(worker);
    worker
      .run({ kind: job.kind, input: compact(job.input) })
      .then(job.resolve, (error: unknown) =>
        job.reject(error instanceof Error ? error : new Error(String(error))),
      )
      .finally(() => {
        this.busy.delete(worker);
        if (worker.isAlive && !this.closed) this.idle.push(worker);
        this.next();
      });
  }

  /** An idle thread that still lives: one may have died of something that came late. */
  private takeWorker(): PoolWorker {
    for (let worker = this.idle.pop(); worker; worker = this.idle.pop()) {
      if (worker.isAlive) return worker;
    }
    return new PoolWorker(this.program, this.limits);
  }
}

/**
 * A structured clone takes the whole buffer behind a view: one row of a driver's 64 KiB chunk would carry all
 * of it along.
 */
function compact(input: unknown): unknown {
  if (input instanceof Uint8Array) {
    return input.byteLength === input.buffer.byteLength ? input : new Uint8Array(input);
  }
  if (Array.isArray(input)) return input.map(compact);
  if (typeof input !== 'object' || input === null || input instanceof Map) return input;
  return Object.fromEntries(Object.entries(input).map(([key, value]) => [key, compact(value)]));
}
