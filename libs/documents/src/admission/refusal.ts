/**
 * Why an update is refused: the closed list of outcome codes of `crdt_yjs` admission. A refused update
 * changed nothing, and the same bytes are refused again, with one exception: `update_incomplete` goes away
 * when what is missing has arrived.
 */
export const REFUSALS = {
  /**
   * Not one Yjs update in encoding V1: damaged, cut off, with bytes behind its end, in V2, or in no order
   * that Yjs writes.
   */
  update_invalid: 'not a Yjs update in encoding V1',
  /**
   * A valid update that adds and deletes nothing. An editor's first handshake sends one; owners answer it as
   * applied.
   */
  update_empty: 'the update holds no change',
  /** It builds on changes that the document does not have: push these first, or send the whole difference. */
  update_incomplete: 'the update builds on changes that the document does not have',
  /**
   * More bytes, or more nested shared types, than one update may have. Insert it in parts, each an update of
   * its own.
   */
  update_too_large: 'the update is larger than one update may be',
  /** Content that documents do not carry: sub-documents, `__proto__` as a key, values nested too deep. */
  content_not_allowed: 'the update holds content that a document cannot carry',
  /**
   * It writes under a clientID of somebody else or of a reserved range, or has other content than the
   * document under one: start a session with a fresh clientID and write it again.
   */
  client_id_foreign: 'the update writes under a clientID that is not its own',
  /** A clientID's clock would advance further than anybody can type. */
  clock_jump: 'the update advances the clock of a clientID by too much',
  /** The document has as many clientIDs or as long a history as it may have: the owner starts a new epoch. */
  document_exhausted: 'the document cannot take another clientID or a longer history',
} as const;

export type RefusalCode = keyof typeof REFUSALS;

/** What a refused update gets. `message` says what is wrong at which place; it never quotes content. */
export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  readonly message: string;
  /** The clientID of which the update and the document have different histories. */
  readonly splitClient?: number;
}

/**
 * Thrown while decoding, where a result type would cost an allocation per value; admission turns it into a
 * {@link Refusal}.
 */
export class RefusedUpdateError extends Error {
  readonly code: RefusalCode;
  readonly splitClient: number | undefined;

  constructor(code: RefusalCode, detail: string, splitClient?: number) {
    super(`${REFUSALS[code]}: ${detail}`);
    this.name = 'RefusedUpdateError';
    this.code = code;
    this.splitClient = splitClient;
  }
}
