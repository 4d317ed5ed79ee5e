import type { Database, Tx } from '@sync/postgres';
import { Answers, AnswersMissing, type Questions } from './answers.ts';
import type { EntityTypes } from './projected-type.ts';
import type { RemoteProjector } from './remote-projector.ts';
import type { WholeDocuments } from './whole-documents.ts';

/** Who can be asked. */
export interface Others {
  readonly types: EntityTypes;
  readonly remote: RemoteProjector;
  readonly documents: WholeDocuments;
}

/**
 * Mostly one suffices, or two: types, then what remote types need, then documents. Each more is a part of a
 * large replay, a document where events are projected one by one, or an event that came while its owner was
 * asked. Nothing is asked twice, so what ends nearly always is ended here.
 */
const MAX_ROUNDS = 64;

/**
 * The projector's database, for transactions that project. What a projection cannot know by itself it throws
 * (`AnswersMissing`); then the transaction is rolled back, others are asked while no row is locked, and it
 * starts over with their answers. An owner that is silent for seconds holds up its own batch and nobody who
 * wants the same heads, lease or watermark.
 */
export class AskingDatabase {
  readonly #database: Database;
  readonly #others: Others;
  readonly #answers = new WeakMap<Tx, Answers>();

  constructor(database: Database, others: Others) {
    this.#database = database;
    this.#others = others;
  }

  /** What was answered for this transaction so far. */
  answersOf(tx: Tx): Answers {
    return this.#answers.get(tx) ?? new Answers();
  }

  call<T>(name: string, text: string, values: readonly unknown[]): Promise<T[]> {
    return this.#database.call<T>(name, text, values);
  }

  /** @param work has no effect outside of the transaction: it may run several times */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#untilAnswered((attempt) => this.#database.transaction(attempt), work);
  }

  /** @param work as of {@link transaction} */
  inTenant<T>(tenantIds: string | readonly string[], work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#untilAnswered((attempt) => this.#database.inTenant(tenantIds, attempt), work);
  }

  async #untilAnswered<T>(
    begin: (attempt: (tx: Tx) => Promise<T>) => Promise<T>,
    work: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    const answers = new Answers();
    for (let round = 1; ; round += 1) {
      if (round > MAX_ROUNDS) answers.close();
      try {
        return await begin((tx) => {
          this.#answers.set(tx, answers);
          return work(tx);
        });
      } catch (error) {
        if (!(error instanceof AnswersMissing)) throw error;
        await this.#ask(error.questions, answers);
      }
    }
  }

  /** @throws RemoteProjectionError */
  async #ask(questions: Questions, answers: Answers): Promise<void> {
    const { types, remote, documents } = this.#others;
    switch (questions.kind) {
      case 'types':
        await types.lookFor(questions.types);
        answers.noteTypes(questions.types);
        return;
      case 'remote':
        for (const [subject, asked] of questions.questions) {
          const answered = await remote.ask(subject, asked);
          for (const [at, question] of asked.entries()) {
            const answer = typeof answered === 'string' ? answered : answered[at];
            answers.noteRemote(subject, question, answer ?? 'No answer for this entity');
          }
        }
        return;
      case 'documents': {
        const found = await documents.ask(questions.events, (entityType) => types.get(entityType));
        for (const [at, event] of questions.events.entries()) answers.noteDocument(event, found[at] ?? null);
      }
    }
  }
}
