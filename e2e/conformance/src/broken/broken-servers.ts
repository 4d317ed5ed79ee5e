import { type CheckName, CHECKS_FOLDER } from '../run-checks.ts';
import { BROKEN_ACCESS } from './broken-access.ts';
import { BROKEN_PULLS } from './broken-pulls.ts';
import { BROKEN_PUSHES } from './broken-pushes.ts';
import type { BrokenServer } from './broken-server.ts';

/** Every server that breaks the protocol on purpose, with the rule and the check that have to catch it. */
export const BROKEN_SERVERS: readonly BrokenServer[] = [...BROKEN_PULLS, ...BROKEN_PUSHES, ...BROKEN_ACCESS];

/** The check that has to catch it, as the kit names its checks. */
export function checkOf({ check }: BrokenServer): CheckName {
  const [file = '', ...title] = check.split(' › ');
  return { path: `${CHECKS_FOLDER}/${file}`, title: title.join(' › ') };
}
