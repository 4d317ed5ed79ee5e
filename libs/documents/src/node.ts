/** `@sync/documents/node`: what needs Node. The rest works wherever Yjs does. */
export { DocumentPool } from './pool/document-pool.ts';
export type { PoolOptions } from './pool/document-pool.ts';
export type { DocumentJobs, SquashedState } from './pool/document-jobs.ts';
export {
  JobCrashedError,
  JobFailedError,
  JobTimeoutError,
  PoolBusyError,
  PoolClosedError,
  WorkerStartError,
} from './pool/pool-errors.ts';
export { stateHash } from './pool/state-hash.ts';
