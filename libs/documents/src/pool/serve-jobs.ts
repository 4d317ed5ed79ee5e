import { parentPort } from 'node:worker_threads';

/** What a pool sends its worker, one at a time. */
export interface JobRequest {
  readonly kind: string;
  readonly input: unknown;
}

/** What the worker says once, when it takes jobs. */
export const READY = 'ready';

/** What the worker answers. */
export type JobAnswer =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly name: string; readonly message: string };

/**
 * The whole of a worker: runs the job that it is sent and answers. Jobs are synchronous; one that never ends
 * is ended by the pool, together with the worker.
 */
export function serveJobs(jobs: Readonly<Record<string, (input: never) => unknown>>): void {
  const port = parentPort;
  if (port === null) throw new Error('this file is the program of a worker thread');
  port.on('message', ({ kind, input }: JobRequest) => port.postMessage(answer(jobs, kind, input)));
  port.postMessage(READY);
}

function answer(
  jobs: Readonly<Record<string, (input: never) => unknown>>,
  kind: string,
  input: unknown,
): JobAnswer {
  try {
    const job = jobs[kind];
    if (!job) throw new RangeError(`there is no job ${kind}`);
    return { ok: true, output: job(input as never) };
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    return { ok: false, name, message };
  }
}
