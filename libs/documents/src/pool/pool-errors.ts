/** The job ran longer than it may; its worker was ended in the middle of it. */
export class JobTimeoutError extends Error {
  constructor(kind: string, timeoutMs: number) {
    super(`${kind} took longer than ${timeoutMs} ms`);
    this.name = 'JobTimeoutError';
  }
}

/** The job wanted more memory than a worker may have, or ended its worker otherwise. */
export class JobCrashedError extends Error {
  constructor(kind: string, reason: string) {
    super(`${kind} ended its worker: ${reason}`);
    this.name = 'JobCrashedError';
  }
}

/** The job threw: its input is bad. `reason` is the name of what it threw, such as `IncompleteStateError`. */
export class JobFailedError extends Error {
  readonly reason: string;

  constructor(kind: string, reason: string, message: string) {
    super(`${kind} failed: ${message}`);
    this.name = 'JobFailedError';
    this.reason = reason;
  }
}

/** As many jobs wait as may; try again later. */
export class PoolBusyError extends Error {
  constructor(waiting: number) {
    super(`${waiting} jobs wait already`);
    this.name = 'PoolBusyError';
  }
}

/** A new thread did not come as far as taking jobs; says nothing about the job. */
export class WorkerStartError extends Error {
  constructor(startTimeoutMs: number) {
    super(`a worker did not start within ${startTimeoutMs} ms`);
    this.name = 'WorkerStartError';
  }
}

/** The pool was closed before the job was done. */
export class PoolClosedError extends Error {
  constructor() {
    super('the pool of workers is closed');
    this.name = 'PoolClosedError';
  }
}
