import * as Y from 'yjs';
import { DOCUMENT_JOBS } from '../pool/document-jobs.ts';
import { serveJobs } from '../pool/serve-jobs.ts';

/**
 * What a worker must survive, as jobs: the V2 decoder that admission keeps away, endless work, and memory
 * without bound.
 */
export const HOSTILE_JOBS = {
  ...DOCUMENT_JOBS,
  mergeV2: (updates: readonly Uint8Array[]): Uint8Array => Y.mergeUpdatesV2([...updates]),
  loopForever: (_nothing: null): never => {
    for (;;);
  },
  fillHeap: (_nothing: null): never => {
    const hoard: object[] = [];
    for (;;) hoard.push({ at: hoard.length });
  },
  exit: (_nothing: null): never => process.exit(3),
};

export type HostileJobs = typeof HOSTILE_JOBS;

serveJobs(HOSTILE_JOBS);
