import { BROKEN_ACCESS } from './broken-access.ts';
import { BROKEN_LIVE } from './broken-live.ts';
import { BROKEN_PULLS } from './broken-pulls.ts';
import { BROKEN_PUSHES } from './broken-pushes.ts';
import type { BrokenServer } from './broken-server.ts';

/** Every server that breaks the protocol on purpose, with the rule and the check that have to catch it. */
export const BROKEN_SERVERS: readonly BrokenServer[] = [
  ...BROKEN_PULLS,
  ...BROKEN_PUSHES,
  ...BROKEN_ACCESS,
  ...BROKEN_LIVE,
];
