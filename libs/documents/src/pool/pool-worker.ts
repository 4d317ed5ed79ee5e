import { Worker } from 'node:worker_threads';
import {
  JobCrashedError,
  JobFailedError,
  JobTimeoutError,
  PoolClosedError,
  WorkerStartError,
} from './pool-errors.ts';
import { READY, type JobAnswer, type JobRequest } from './serve-jobs.ts';

/** Bounds of one job. */
export interface JobLimits {
  /** Of the job alone. */
  readonly timeoutMs: number;
  /**
   * Until a new thread takes jobs: it loads its program first, which takes seconds where too much else runs.
   */
  readonly startTimeoutMs: number;
  /** Of the worker's JavaScript heap. */
  readonly heapMb: number;
}

/**
 * One thread; `run` one job after the other. After a timeout or a crash it is dead and another has to take
 * its place.
 */
export class PoolWorker {
  private readonly worker: Worker;
  private readonly limits: JobLimits;
  private settle: ((error: Error | null, answer?: JobAnswer) => void) | null = null;
  private timer: NodeJS.Timeout | undefined;
  private kind = '';
  private alive = true;
  private ready = false;

  constructor(program: URL, limits: JobLimits) {
    this.limits = limits;
    this.worker = new Worker(program, {
      // Sources run as they are; nothing else of how this process was started concerns a worker.
      execArgv: program.pathname.endsWith('.ts') ? ['--disable-warning=ExperimentalWarning'] : [],
      env: {},
      resourceLimits: {
        maxOldGenerationSizeMb: limits.heapMb,
        maxYoungGenerationSizeMb: Math.max(1, Math.floor(limits.heapMb / 4)),
      },
    });
    // Waiting for work must not keep a process alive that is done with everything else.
    this.worker.unref();
    this.worker.on('message', (message: JobAnswer | typeof READY) => {
      if (message !== READY) return this.settle?.(null, message);
      this.ready = true;
      if (this.settle) this.watch();
    });
    this.worker.on('error', (error: Error) => this.die(new JobCrashedError(this.kind, error.message)));
    this.worker.on('exit', (code) => this.die(new JobCrashedError(this.kind, `exit code ${code}`)));
  }

  get isAlive(): boolean {
    return this.alive;
  }

  /**
   * @returns what the job returned
   * @throws WorkerStartError, JobTimeoutError, JobCrashedError (the worker is dead then), JobFailedError
   */
  async run(request: JobRequest): Promise<unknown> {
    this.kind = request.kind;
    this.worker.ref();
    const answer = await new Promise<JobAnswer>((resolve, reject) => {
      this.watch();
      this.settle = (error, given) => {
        clearTimeout(this.timer);
        this.settle = null;
        if (given) resolve(given);
        else reject(error ?? new PoolClosedError());
      };
      this.worker.postMessage(request);
    });
    this.worker.unref();
    if (answer.ok) return answer.output;
    throw new JobFailedError(request.kind, answer.name, answer.message);
  }

  async stop(): Promise<void> {
    this.die(new PoolClosedError());
    await this.worker.terminate();
  }

  /** The time of a job begins when its thread takes jobs. */
  private watch(): void {
    const { timeoutMs, startTimeoutMs } = this.limits;
    clearTimeout(this.timer);
    this.timer = this.ready
      ? setTimeout(() => this.die(new JobTimeoutError(this.kind, timeoutMs)), timeoutMs)
      : setTimeout(() => this.die(new WorkerStartError(startTimeoutMs)), startTimeoutMs);
  }

  private die(reason: Error): void {
    if (this.alive) void this.worker.terminate();
    this.alive = false;
    this.settle?.(reason);
  }
}
