import type { Settled, Work } from '../outcome/settlement.ts';
import { HighestNumbers } from './highest-numbers.ts';
import type { Submission } from './submission.ts';

/** An end that holds if all changes that are planned before it are taken. */
export interface PlannedEnd {
  readonly work: Work;
  readonly end: () => Settled;
}

/** What is planned for the next mutations of a lane, in their order. */
export class Plan {
  readonly steps: (Submission | PlannedEnd)[] = [];
  #lastChange: Submission | null = null;
  #highestCounter = 0;
  readonly #numbers = new HighestNumbers();

  add(step: Submission | PlannedEnd): void {
    this.steps.push(step);
    if (!('end' in step)) {
      this.#lastChange = step;
      this.#numbers.note(step.work);
    }
    this.#highestCounter = Math.max(this.#highestCounter, step.work.mutation.counter);
  }

  /** The changes to send. */
  get submissions(): Submission[] {
    return this.steps.flatMap((step) => ('end' in step ? [] : [step]));
  }

  get lastChange(): Submission | null {
    return this.#lastChange;
  }

  /** Of the changes that are planned. */
  get numbers(): HighestNumbers {
    return this.#numbers;
  }

  /** Of all that is planned, which change of its device it is. */
  get highestCounter(): number {
    return this.#highestCounter;
  }
}
