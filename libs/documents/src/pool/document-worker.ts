import { DOCUMENT_JOBS } from './document-jobs.ts';
import { serveJobs } from './serve-jobs.ts';

serveJobs(DOCUMENT_JOBS);
