export { MainJobError, runMainJob } from './run-main-job.ts';
export type { MainJobOptions } from './run-main-job.ts';
