import { PoolBusyError, WorkerStartError, type DocumentJobs, type DocumentPool } from '@sync/documents/node';
import { BusyDocumentsError } from '../document-port.ts';

/**
 * `DocumentPool.run` for what a batch waits for.
 *
 * @throws BusyDocumentsError when too many jobs wait already, or no thread starts; else what the pool throws
 */
export async function runJob<Kind extends keyof DocumentJobs>(
  pool: DocumentPool,
  kind: Kind,
  input: Parameters<DocumentJobs[Kind]>[0],
): Promise<ReturnType<DocumentJobs[Kind]>> {
  try {
    return await pool.run(kind, input);
  } catch (error) {
    if (error instanceof PoolBusyError || error instanceof WorkerStartError)
      throw new BusyDocumentsError(error.message, { cause: error });
    throw error;
  }
}
