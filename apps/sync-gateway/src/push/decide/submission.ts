import type { SubmitDecision } from '@sync/domain';
import type { Work } from '../outcome/settlement.ts';
import type { Standing } from './standing.ts';

/** A change to send, and where the entity stands before and, if the owner takes it, after. */
export interface Submission {
  readonly work: Work;
  readonly change: SubmitDecision;
  readonly before: Standing;
  readonly after: Standing;
}
