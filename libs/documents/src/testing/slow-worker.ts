import { DOCUMENT_JOBS } from '../pool/document-jobs.ts';
import { serveJobs } from '../pool/serve-jobs.ts';

/** A worker that takes as long to start as one does on a machine with too much to do. */
const START_MS = 1_500;
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, START_MS);

serveJobs(DOCUMENT_JOBS);
