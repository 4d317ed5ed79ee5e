export { CHECKS_FOLDER, checkNames, runChecks } from './run-checks.ts';
export type { CheckName, CheckResult, Target } from './run-checks.ts';
export { patternOf, sourceTitleOf, titlesIn } from './test-titles.ts';
export { BROKEN_SERVERS, checkOf } from './broken/broken-servers.ts';
export type { BrokenServer } from './broken/broken-server.ts';
export { catchAll } from './broken/catch-broken.ts';
export type { Catch } from './broken/catch-broken.ts';
