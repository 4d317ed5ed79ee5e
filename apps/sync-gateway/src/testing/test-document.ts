import * as Y from 'yjs';

/** A document as its owner has it: what each edit added, and the whole. */
export class TestDocument {
  readonly #doc = new Y.Doc();
  readonly #added: Uint8Array[] = [];

  constructor(text = '') {
    this.#doc.on('update', (update: Uint8Array) => this.#added.push(update));
    if (text !== '') this.insert(0, text);
  }

  get text(): string {
    return this.#doc.getText('body').toJSON();
  }

  get whole(): string {
    return base64(Y.encodeStateAsUpdate(this.#doc));
  }

  /** @returns the increment */
  insert(at: number, words: string): string {
    this.#doc.getText('body').insert(Math.min(at, this.text.length), words);
    return base64(this.#added.at(-1) ?? new Uint8Array());
  }

  /** @returns the increment */
  delete(at: number, length: number): string {
    const from = Math.min(at, this.text.length);
    this.#doc.getText('body').delete(from, Math.min(length, this.text.length - from));
    return base64(this.#added.at(-1) ?? new Uint8Array());
  }
}

/** The text of a document that has these updates; nothing may be missing. */
export function textOfUpdates(updates: readonly string[]): string {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, Buffer.from(update, 'base64'));
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) {
    throw new Error('the updates depend on others that are missing');
  }
  return doc.getText('body').toJSON();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
