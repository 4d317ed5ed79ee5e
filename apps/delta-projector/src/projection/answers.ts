import { entityKey, type ProjectableEvent } from './project-entities.ts';
import type { RemoteAnswer, RemoteQuestion } from './remote-projector.ts';

/** What a projection cannot know by itself. */
export type Questions =
  /** Entity types that are not known yet. */
  | { readonly kind: 'types'; readonly types: ReadonlySet<string> }
  /** By subject. */
  | { readonly kind: 'remote'; readonly questions: ReadonlyMap<string, readonly RemoteQuestion[]> }
  /** One event per entity, whose whole document is missing. */
  | { readonly kind: 'documents'; readonly events: readonly ProjectableEvent[] };

/** Thrown to roll the transaction back: nobody waits for its locks while others are asked. */
export class AnswersMissing extends Error {
  override readonly name = 'AnswersMissing';
  readonly questions: Questions;

  constructor(questions: Questions) {
    super(`Rolled back to ask for ${questions.kind}`);
    this.questions = questions;
  }
}

/**
 * What others have answered for one transaction, however often it was started over. Who did not answer is
 * noted as well, so nothing is asked twice.
 */
export class Answers {
  readonly #types = new Set<string>();
  readonly #remote = new Map<string, RemoteAnswer | string>();
  readonly #documents = new Map<string, ProjectableEvent | null>();
  #isClosed = false;

  /** From now on whatever is missing counts as not answered. */
  close(): void {
    this.#isClosed = true;
  }

  noteTypes(types: Iterable<string>): void {
    for (const type of types) this.#types.add(type);
  }

  noteRemote(subject: string, question: RemoteQuestion, answer: RemoteAnswer | string): void {
    this.#remote.set(questionKey(subject, question), answer);
  }

  /** @param whole null: its owner did not show it */
  noteDocument(event: ProjectableEvent, whole: ProjectableEvent | null): void {
    this.#documents.set(keyOf(event), whole);
  }

  hasLookedFor(entityType: string): boolean {
    return this.#isClosed || this.#types.has(entityType);
  }

  /** A text says why there is no answer; undefined: nobody has asked yet. */
  remote(subject: string, question: RemoteQuestion): RemoteAnswer | string | undefined {
    const unasked = this.#isClosed ? 'Others had to be asked too often' : undefined;
    return this.#remote.get(questionKey(subject, question)) ?? unasked;
  }

  /** Null: there is no answer; undefined: nobody has asked yet. */
  document(event: ProjectableEvent): ProjectableEvent | null | undefined {
    const known = this.#documents.get(keyOf(event));
    // Of an event that came since, a document from before it says nothing.
    const isOlder = known !== undefined && known !== null && known.change.revision < event.change.revision;
    if (known !== undefined && !isOlder) return known;
    return this.#isClosed ? null : undefined;
  }
}

/** All of it: two events may say the same of themselves, and not the same of their entity. */
function questionKey(subject: string, question: RemoteQuestion): string {
  return `${subject} ${JSON.stringify(question)}`;
}

function keyOf({ tenantId, change }: ProjectableEvent): string {
  return entityKey(tenantId, change.entityType, change.entityId);
}
