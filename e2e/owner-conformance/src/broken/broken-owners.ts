import { BROKEN_ANSWERS } from './broken-answers.ts';
import { BROKEN_EVENTS } from './broken-events.ts';
import type { BrokenOwner } from './broken-owner.ts';

/** Every owning service that is broken on purpose, with the rule and the check that have to catch it. */
export const BROKEN_OWNERS: readonly BrokenOwner[] = [...BROKEN_ANSWERS, ...BROKEN_EVENTS];
