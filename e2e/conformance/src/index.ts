export { SERVER_KIT, checkNames, runChecks } from './run-checks.ts';
export type { CheckKit, CheckName, CheckResult, Target } from './run-checks.ts';
export { patternOf, sourceTitleOf, titlesIn } from './test-titles.ts';
export { BROKEN_SERVERS } from './broken/broken-servers.ts';
export type { Broken, BrokenServer } from './broken/broken-server.ts';
export { breakingServer, catchAll, checkOf } from './broken/catch-broken.ts';
export type { Breaking, Catch, Seen } from './broken/catch-broken.ts';
