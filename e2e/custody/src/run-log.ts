import type { LocalMutation, Outcome } from '@sync/protocol';

/** One change of a device, with what its author could see when it was made. */
export interface WriteFact {
  readonly mutation: LocalMutation;
  readonly userId: string;
  /** By field, the value that nobody else writes; field `''` is a piece of text of a document. */
  readonly tokens: ReadonlyMap<string, string>;
  /** By field, every such value of others and of itself that the device had shown before. */
  readonly saw: ReadonlyMap<string, ReadonlySet<string>>;
  /**
   * Fields that the change takes away: all of a deletion, those that a put leaves out, erased pieces of text.
   */
  readonly removes: 'all' | 'left out' | ReadonlySet<string>;
}

export interface AnswerFact {
  readonly outcome: Outcome;
  readonly deviceId: string;
  readonly userId: string;
}

/** A change that the owning service made itself: it may take away whatever was there. */
export interface ServerFact {
  readonly key: string;
  readonly tokens: ReadonlyMap<string, string>;
  readonly atMs: number;
}

/** Everything that happened in a run, for the check and for the report. */
export class RunLog {
  readonly lines: string[] = [];
  readonly writes = new Map<string, WriteFact>();
  readonly answers = new Map<string, AnswerFact[]>();
  readonly serverChanges: ServerFact[] = [];
  /** Scopes that were taken from a user, be it for a moment. */
  readonly withdrawn = new Set<string>();
  /** When each mutation was first sent, by mutationId. */
  readonly sentAtMs = new Map<string, number>();
  /** Promises that were broken while it ran. */
  readonly faults: string[] = [];
  #tokens = 0;

  note(line: string): void {
    this.lines.push(line);
  }

  /** A value that is written once in the run, and is no part of another one. */
  newToken(prefix: string): string {
    this.#tokens += 1;
    return `${prefix}${String(this.#tokens).padStart(5, '0')}`;
  }

  sent(mutations: readonly LocalMutation[]): void {
    for (const { mutationId } of mutations) {
      if (!this.sentAtMs.has(mutationId)) this.sentAtMs.set(mutationId, Date.now());
    }
  }

  answered(deviceId: string, userId: string, outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) {
      const known = this.answers.get(outcome.mutationId) ?? [];
      this.answers.set(outcome.mutationId, [...known, { outcome, deviceId, userId }]);
    }
  }

  /** Whether it was applied for anybody: also in the name of a stranger, in whose session it was pushed. */
  stands(mutationId: string): boolean {
    const answers = this.answers.get(mutationId) ?? [];
    return answers.some(({ outcome: { status } }) => status === 'applied' || status === 'merged');
  }

  /** The terminal outcome that the mutation's own user was given, if there is one. */
  endOf(mutationId: string): Outcome | undefined {
    const owner = this.writes.get(mutationId)?.userId;
    const ends = (this.answers.get(mutationId) ?? []).filter(({ outcome, userId }) => {
      return userId === owner && outcome.status !== 'accepted';
    });
    return ends.at(-1)?.outcome;
  }
}
